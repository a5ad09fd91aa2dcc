"""The red team: attacks on a copy of one's own workspace, before and after.

It forges what an attacker would publish (`attacks` is the catalogue), brings it into the copy with real
keys by the ordinary way in, asks the questions again, and reports per attack how far it came with no
defence, with signatures alone, and with the full gate.

    from trustrag.redteam.attacks import CATALOGUE, select
    from trustrag.redteam.questions import load_poisonedrag, load_ramdocs, make_questions
    from trustrag.redteam.simulator import run
"""
