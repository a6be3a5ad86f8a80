"""Resources: one file for each thing of the contract, with plain functions of a Call that its routes answer by.

Bodies become structs (``requests``, ``change_bodies``) and commands; what became of a command becomes an answer
(``answers``). Nothing here knows the server, the framework, or the way to it (``door``, ``routes``).
"""
