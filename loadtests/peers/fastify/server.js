// node server.js RESERVE.LUA PREFIX PORT, with the server's address in VALKEY_URL
'use strict'

const { randomUUID } = require('node:crypto')
const { readFileSync } = require('node:fs')
const Redis = require('ioredis')

const [script, prefix, port] = process.argv.slice(2)
const redis = new Redis(process.env.VALKEY_URL, { enableAutoPipelining: true })
redis.defineCommand('reserve', { numberOfKeys: 2, lua: readFileSync(script, 'utf8') })

const line = {
  type: 'object',
  required: ['sku', 'quantity'],
  properties: { sku: { type: 'string', minLength: 1 }, quantity: { type: 'integer', minimum: 1 } }
}
const body = {
  type: 'object',
  required: ['lines'],
  properties: {
    lines: { type: 'array', items: line, minItems: 1, maxItems: 1 },
    ttl_seconds: { type: 'integer', minimum: 1, default: 600 }
  }
}
const answer = {
  type: 'object',
  properties: { id: { type: 'string' }, state: { type: 'string' }, sku: { type: 'string' }, quantity: { type: 'integer' } }
}

const app = require('fastify')({ logger: false })

app.post('/v1/reservations', { schema: { body, response: { 201: answer, 409: answer } } }, async (request, reply) => {
  const { sku, quantity } = request.body.lines[0]
  const id = randomUUID()
  const expires = Date.now() + request.body.ttl_seconds * 1000
  const left = await redis.reserve(`${prefix}:stock:${sku}`, `${prefix}:reservation:${sku}:${id}`, quantity, expires)
  reply.code(left < 0 ? 409 : 201)
  return { id, state: left < 0 ? 'refused' : 'held', sku, quantity }
})

app.listen({ host: '127.0.0.1', port: Number(port) })
process.on('SIGTERM', () => process.exit(0))
