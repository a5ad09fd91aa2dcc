"""What orders to an assistant look like: patterns by kind, each asked only where one of its words stands.

`ORDERS` are unmistakable when they are spoken and not quoted. `HINTS` are what honest handbooks say too, so one of
them is a warning and two kinds of them, close together, are an order. Written from the published collections of
indirect injections: Greshake et al. 2023, "Not what you've signed up for"; Liu et al. 2024 (USENIX), "Formalizing and
Benchmarking Prompt Injection"; BIPIA (Yi et al. 2023); Shafran et al. 2025, "Machine Against the RAG" (refusals).
"""

import re
from dataclasses import dataclass

_TARGET = (
    r"(?:instructions?|prompts?|rules?|guidelines?|directions?|directives?|commands?|constraints?|restrictions?"
    r"|polic(?:y|ies)|programming|training|guardrails?|safety (?:settings|measures|filters?)|context"
    r"|messages?|text|content"
    r"|documents?|passages?|sources?|orders|everything|anything)"
)
_FORMER = (
    r"(?:previous(?:ly)?|prior|above|earlier|preceding|foregoing|former|all|any|your|the system|system"
    r"|original|initial"
    r"|existing|other|everything|what(?:ever)? (?:you|came|was|is)|developer'?s?)"
)
_DROP = (
    r"(?:ignor(?:e|ing)|disregard(?:ing)?|forget|overrid(?:e|ing)|bypass|discard|neglect|skip|drop|set "
    r"aside|erase"
    r"|(?:do not|don't|never|stop|no longer) (?:follow|obey|use|rely on|consider|read|trust|comply "
    r"with)(?:ing)?"
    r"|pay no attention to|unlearn)"
)
_MACHINE = (
    r"(?:a\.?i\.?|llms?|(?:large )?language models?|(?:ai |virtual |digital |helpful )?assistants?|chat "
    r"?bots?|chatgpt|gpt(?:-\d\w*)?"
    r"|claude|gemini|copilot|bard|ai agents?|(?:ai|automated) (?:models?|systems?|tools?|reviewers?"
    r"|summari[sz]ers?)|bots?)"
)
_SECRET = (
    r"(?:system prompt|(?:initial|hidden|secret|original|internal) (?:prompt|instructions?|rules)|your "
    r"(?:instructions|prompt"
    r"|rules|configuration|guidelines)|(?:conversation|chat) (?:history|log)|api[ _-]?keys?|passwords?"
    r"|credentials|secrets"
    r"|environment variables|(?:user|customer)(?:'s|s'|s)? (?:data|details|emails?|messages?|name|address"
    r"|personal \w+)|session (?:token|cookie)s?"
    r"|this conversation|the conversation|private (?:data|key)s?)"
)


@dataclass(frozen=True, slots=True)
class Phrase:
    """One kind of order: its name, the words of which one has to stand in the text, and the pattern."""

    kind: str
    words: frozenset[str]
    pattern: re.Pattern[str]
    standard: str = "OWASP LLM01:2025"


def _phrase(kind: str, words: str, pattern: str, standard: str = "OWASP LLM01:2025") -> Phrase:
    return Phrase(kind, frozenset(words.split()), re.compile(pattern, re.I), standard)


_LEAK = "OWASP LLM02:2025"
_EXFILTRATE = "AML.T0057"

ORDERS = (
    _phrase(
        "override",
        "ignore ignoring disregard disregarding forget override overriding bypass discard neglect skip "
        "drop erase follow "
        "obey use rely consider read trust comply attention unlearn aside",
        rf"\b{_DROP}\b(?: (?:about|of|with|on))?(?: (?:and|or) "
        rf"\w+)?[^.!?\n]{{0,30}}?\b{_FORMER}\b[^.!?\n]{{0,24}}?\b"
        r"(?:instructions?|prompts?|rules|guidelines|directions|directives|commands|constraints"
        r"|restrictions|policies|programming"
        r"|guardrails?|safety (?:settings|measures|filters?)|orders)\b",
    ),
    _phrase(
        "override",
        "ignore disregard forget discard",
        r"\b(?:ignore|disregard|forget|discard) (?:all |absolutely )?(?:everything|anything|all|whatever"
        r"|what)(?: that| of)?"
        r"(?: (?:you|i|we|was|is|were|came|the user|they))?(?: \w+){0,3}? (?:above|before|earlier"
        r"|previously|so far|told|said|written|learned)\b",
    ),
    _phrase(
        "override",
        "ignore disregard discard prefer sources documents passages results",
        r"\b(?:ignore|disregard|discard|do not (?:use|trust|cite)|never (?:use|trust|cite)) (?:all |any "
        r")?(?:of )?(?:the )?(?:other|remaining|rest of the) "
        r"(?:retrieved |search )?(?:documents?|passages?|sources?|results?|context|snippets?)\b",
        "AML.T0070",
    ),
    _phrase(
        "new-role",
        "now pretend act unrestricted dan jailbreak jailbroken mode persona roleplay simulate behave",
        r"\b(?:you are (?:now|no longer)|from now on,? you(?:'re| are| will| must| should)?(?: be)?"
        r"|pretend (?:to be|(?:that )?you(?:'re| are))|act as|behave as|roleplay as|simulate"
        r"|switch to|enter|enable|activate)\b[^.!?\n]{0,50}?\b(?:DAN|unrestricted|unfiltered|uncensored"
        r"|jailbroken|without (?:any )?(?:restrictions|rules|limits|filters)"
        rf"|developer mode|debug mode|god mode|admin(?:istrator)? mode|maintenance mode|no (?:restrictions"
        rf"|rules|limits)|evil|{_MACHINE})\b",
        "AML.T0054",
    ),
    _phrase(
        "prompt-leak",
        "prompt instructions rules configuration guidelines",
        r"\b(?:reveal|print|repeat|show|output|display|disclose|leak|share|recite|echo|tell me|give me"
        r"|write out|append|include|dump|summari[sz]e)\b[^.!?\n]{0,40}?\b"
        r"(?:(?:your|the) (?:full |entire |exact |complete |hidden |initial |original |secret )*(?:system "
        r"prompt|system message|initial prompt|hidden prompt"
        r"|initial instructions|hidden instructions|secret instructions|prompt verbatim)|your "
        r"(?:instructions|prompt|rules|configuration|guidelines))\b",
        _LEAK,
    ),
    _phrase(
        "addressed",
        "ai assistant assistants llm llms model models chatbot chatbots chatgpt gpt claude gemini "
        "copilot bard bot bots agent agents "
        "summarizer reviewer reviewers tool tools system systems",
        rf"(?:\b(?:note|attention|message|instructions?|important|notice|warning|memo|reminder|information"
        rf"|hint|request)\b,?(?: to| for)?(?: all| any| the)* {_MACHINE}\b(?: \w+){{0,3}}\s*[:,.!]"
        rf"|\b(?:dear|hey|hello|hi|attention|listen|psst),? {_MACHINE}\b\s*[,:!-]"
        rf"|\bif you(?:'re| are) (?:an? |the )?{_MACHINE}\b"
        rf"|\b(?:an? |any |all |every )?{_MACHINE}\b(?: (?:that|which|who) \w+(?:s|ing)?| reading| "
        rf"processing| summari[sz]ing| answering| evaluating)[^.!?\n]{{0,40}}?\b(?:must|should|shall|has "
        rf"to|have to|needs? to|is (?:required|instructed|asked) to|are (?:required|instructed|asked) "
        rf"to)\b)",
    ),
    _phrase(
        "exfiltration",
        "send forward post email upload transmit exfiltrate leak append encode include submit",
        r"\b(?:send|forward|post|e-?mail|upload|transmit|exfiltrate|leak|submit|append|encode"
        r"|include)\b[^.!?\n]{0,60}?\b"
        rf"{_SECRET}\b[^!?\n]{{0,60}}?(?:https?://|\bto (?:the )?(?:following )?(?:url|address|webhook"
        rf"|server|endpoint|attacker)|\b[\w.+-]+@[\w-]+\.\w|\bas (?:a |an )?(?:url|query|image) )",
        _EXFILTRATE,
    ),
    _phrase(
        "answer-control",
        "answer answers respond reply say output response users user asked asks question",
        r"(?:\b(?:when(?:ever)?|if|every time|anytime)\b[^.!?\n]{0,40}?\b(?:asked|users? asks?|someone "
        r"asks|anyone asks|people ask|the user (?:asks|wants|inquires)|question(?:ed)? (?:is|about)"
        r"|you(?:'re| are) asked)\b[^.!?\n]{0,80}?,?\s*"
        r"(?:you )?(?:(?:must|should|shall|always|only|simply|just|please) )+(?:answer|respond|reply|say"
        r"|state|output|claim|recommend|tell|insist|give|return)\b"
        r"|\byour (?:final |only |next |entire )*(?:answer|response|reply|output|summary)(?: to (?:this"
        r"|the|any|all) \w+)? (?:must|should|shall|has to|needs to|will) (?:always |only )?(?:be|say"
        r"|state|contain|include|begin|start|end|recommend|mention|read)\b"
        r"|\b(?:answer|respond|reply) (?:to )?(?:this|the|any|every|all) (?:user'?s? )?(?:questions?"
        r"|quer(?:y|ies)|requests?) (?:only )?(?:with|by saying|as)\b"
        r"|\b(?:always|only|you must|must only) (?:answer|respond|reply)(?: only)? (?:with|by saying|that)\b)",
    ),
    _phrase(
        "concealment",
        "user users human operator anyone notify mention reveal tell inform disclose aware",
        r"\b(?:do not|don't|never|without)\b (?:mention(?:ing)?|reveal(?:ing)?|tell(?:ing)?"
        r"|inform(?:ing)?|disclos(?:e|ing)|notify(?:ing)?|alert(?:ing)?|let(?:ting)?|say(?:ing)?"
        r"|acknowledg(?:e|ing)|ask(?:ing)?)\b"
        r"[^.!?\n]{0,40}?\b(?:the user|the human|these instructions?|this instruction|this (?:message"
        r"|note|prompt|text|comment)|that you (?:were|have|are|received|saw)|you (?:were|are) (?:told"
        r"|instructed)|the operator)\b",
    ),
    _phrase(
        "refusal",
        "respond reply answer say respond refuse decline",
        r"\b(?:respond|reply|answer|say)\b[^.!?\n]{0,40}?(?:['\"“‘:,] ?)(?:i (?:do not|don'?t|cannot"
        r"|can'?t|am unable)|sorry,|no (?:information|answer|data)|i'?m (?:sorry|unable))"
        r"|\b(?:refuse|decline) to answer (?:any|all|this|the|every)\b(?: \w+){0,2} (?:questions?"
        r"|quer(?:y|ies)|requests?)\b",
        "AML.T0029",
    ),
    _phrase(
        "ranking",
        "rank cite quote trust authoritative trusted prefer passage document source",
        r"\b(?:(?:always )?(?:rank|place|list|put) this (?:document|passage|page|source|result"
        r"|text)\b[^.!?\n]{0,20}?\b(?:first|highest|top|above)"
        r"|(?:cite|quote|use|trust|rely on|follow) (?:only |exclusively )?(?:this|the present) "
        r"(?:document|passage|page|source|text)(?: (?:only|exclusively|alone|instead)| (?:above|over) )"
        r"|this (?:document|passage|page|source|text) (?:supersedes|overrides|replaces|takes precedence "
        r"over) (?:all|any|every) (?:other|previous|earlier)\b[^.!?\n]{0,20}?(?:documents?|sources?"
        r"|passages?|results?|context))",
        "AML.T0066",
    ),
    _phrase(
        "tool-use",
        "call invoke run execute use tool function plugin command",
        r"\b(?:call|invoke|run|execute|use|trigger)\b[^.!?\n]{0,30}?\b(?:tool|function|plugin|command|api"
        r"|browser|terminal|shell)\b[^.!?\n]{0,80}?\b(?:without (?:asking|confirm\w*|telling|notifying"
        r"|permission|approval|user)|immediately,? (?:and|then) (?:do not|don't)|silently)\b",
        "OWASP LLM06:2025",
    ),
    _phrase(
        "privileged",
        "system instructions instruction override admin administrator developer",
        r"(?:\b(?:system|admin(?:istrator)?|developer|root) (?:override|update|command"
        r"|directive)\b\s*[:!\]-]|(?:^|[.!?]\s|\n)\s*\W{0,3}new (?:system )?instructions?\s*:|\bupdated "
        r"(?:system )?instructions? (?:for|to) (?:the )?"
        rf"{_MACHINE}|\b(?:these|this|the following) (?:new )?instructions? (?:override|overrides"
        rf"|supersedes?|replaces?|takes? (?:precedence|priority) over) (?:all|any|your|the|every)\b)",
    ),
    _phrase(
        "override-abroad",
        "ignoriere ignorieren ignorier vergiss missachte ignorez ignore oubliez oublie ignora ignorar "
        "ignore olvida olvide ignori dimentica ignorare "
        "negeer vergeet zignoruj ignoruj zapomnij ignorera glöm ignorér glem unohda yoksay unut "
        "игнорируй игнорируйте забудь забудьте проигнорируй abaikan",
        r"\b(?:ignorier\w*|vergiss|missachte)\b[^.!?\n]{0,40}?\b(?:vorherig\w*|bisherig\w*|vorangehend\w*"
        r"|obig\w*|alle\w*|deine)\b[^.!?\n]{0,30}?\b(?:Anweisung\w*|Regel\w*|Instruktion\w*|Vorgabe\w*)"
        r"|\b(?:ignore[zr]?|oublie[zr]?)\b[^.!?\n]{0,40}?\b(?:instructions?|consignes?|règles"
        r"|directives)\b[^.!?\n]{0,20}?\b(?:précédent\w*|antérieur\w*|ci-dessus)"
        r"|\b(?:ignor[ae]r?|olvid[ae]r?|desconsidere)\b[^.!?\n]{0,40}?\b(?:instru[cç]\w+|reglas|regras"
        r"|órdenes|indicaciones)\b[^.!?\n]{0,20}?\b(?:anterior\w*|previ[ao]s|acima)"
        r"|\b(?:ignor[ai](?:re)?|dimentica)\b[^.!?\n]{0,40}?\b(?:istruzioni"
        r"|regole)\b[^.!?\n]{0,20}?\b(?:precedenti|sopra)"
        r"|\b(?:negeer|vergeet)\b[^.!?\n]{0,40}?\b(?:eerdere|vorige|voorgaande|bovenstaande"
        r"|alle)\b[^.!?\n]{0,20}?\b(?:instructies|regels|aanwijzingen)"
        r"|\b(?:z?ignoruj|zapomnij)\b[^.!?\n]{0,40}?\b(?:poprzedni\w*|wcześniejsz\w*"
        r"|wszystkie)\b[^.!?\n]{0,20}?\b(?:instrukcj\w*|polece\w*|zasad\w*)"
        r"|\b(?:про)?игнорируй(?:те)?\b[^.!?\n]{0,40}?\b(?:инструкц\w*|указани\w*|правил\w*)"
        r"|\bзабудь(?:те)?\b[^.!?\n]{0,30}?\b(?:предыдущ\w*|все)\b[^.!?\n]{0,20}?\b(?:инструкц\w*"
        r"|указани\w*)"
        r"|\b(?:ignorera|glöm)\b[^.!?\n]{0,40}?\b(?:tidigare|alla)\b[^.!?\n]{0,20}?\b(?:instruktioner|regler)"
        r"|\b(?:yoksay|unut)\b|\bönceki\b[^.!?\n]{0,30}?\btalimat\w*\b[^.!?\n]{0,20}?\b(?:yoksay|unut"
        r"|dikkate alma)",
    ),
)  # fmt: skip

WITHOUT_WORDS = (
    _phrase(
        "override-abroad",
        "",
        r"(?:忽略|无视|無視|忘记|忘掉)[^。！？\n]{0,12}(?:之前|以前|先前|以上|上述|所有|前面)[^。！？\n]{0,8}(?:指令|指示|提示|规则|規則|说明)"
        r"|(?:以前|これまで|前|上記|すべて)の[^。！？\n]{0,6}(?:指示|命令|ルール|プロンプト)[^。！？\n]{0,6}(?:無視|忘れ)"
        r"|(?:이전|위의?|모든|앞선)[^.!?\n]{0,8}(?:지시|명령|지침|규칙)[^.!?\n]{0,8}(?:무시|잊)"
        r"|(?:تجاهل|انس|تجاهلي)[^.!?\n]{0,25}(?:التعليمات|الأوامر|القواعد)"
        r"|(?:התעלם|התעלמו|שכח)[^.!?\n]{0,25}(?:ההוראות|הנחיות)"
        r"|(?:पिछले|सभी|पूर्व)[^.!?\n]{0,25}(?:निर्देश|आदेश)[^.!?\n]{0,25}(?:अनदेखा|नज़रअंदाज़|भूल)",
    ),
)
"""Orders in scripts whose words the word list does not cut or whose forms are many; asked of any text beyond ASCII."""

HINTS = (
    _phrase(
        "tells-what-to-answer",
        "user users asked asks",
        r"\b(?:tell|inform|advise|instruct|convince|persuade) (?:the |any |every )?(?:users?|readers?"
        r"|humans?) (?:that|to|about)\b"
        r"|\b(?:when|if) (?:a |the |any )?(?:user|human)s? (?:asks?|wants|inquires)\b",
    ),
    _phrase(
        "speaks-of-answers",
        "answer response reply respond summary",
        r"\b(?:in (?:your|any|every) (?:answer|response|reply|summary)|the (?:only |single )?(?:correct"
        r"|right|true|valid|acceptable) answer (?:to|is)|(?:respond|reply|answer) (?:only|exclusively"
        r"|strictly)\b"
        r"|(?:must|always) (?:be )?(?:mention|recommend|state|conclude|include)(?:ed"
        r"|s)?\b[^.!?\n]{0,40}\b(?:answers?|responses?|summar(?:y|ies)))\b",
    ),
    _phrase(
        "speaks-of-machines",
        "ai assistant assistants llm chatbot chatgpt claude gemini copilot model",
        rf"\b{_MACHINE}s? (?:must|should|shall|will|has to|have to|needs? to) (?:always |never |now |only "
        rf")*(?:say|state|answer|respond|reply|recommend|mention|tell|ignore|treat|believe|use|cite"
        rf"|include|claim)\b"
        rf"|\bas an? {_MACHINE}, you\b|\byou are an? (?:\w+ ){{0,3}}{_MACHINE}\b",
    ),
    _phrase(
        "claims-authority",
        "verified authoritative official trusted supersedes outdated incorrect",
        r"\b(?:this (?:document|passage|page|text|source) is (?:the )?(?:only |most |single |definitive "
        r")*(?:verified|authoritative|official|trusted|reliable|up[- ]to[- ]date|current)\b"
        r"|all (?:other|previous|earlier) (?:sources|documents|versions|passages|answers) (?:are|is) "
        r"(?:outdated|incorrect|wrong|false|obsolete|unreliable))",
    ),
    _phrase(
        "urges",
        "important critical urgent immediately priority must",
        r"\b(?:important|critical|urgent|mandatory|high[- ]priority) (?:instructions?|message|directive"
        r"|notice|system)\b\s*[:!]",
    ),
)  # fmt: skip
