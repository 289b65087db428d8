"""An excerpt of Bedrock Runtime's service model, in the form in which AWS publishes service models.

The shapes of requests are those of `simulator/shapes.json`. The shapes of replies and events are described here, by the
public API reference: members, whether they are required, and unions, but no enumerations of guardrails' words and no
limits of their texts.
"""

import json
import pathlib

REQUESTS = pathlib.Path(__file__).parents[2] / "simulator" / "shapes.json"

# A line per shape. `name! Type` is required; `[Type]` is a list, `{Type}` a map from strings; `|` makes a union.
REPLIES = """
ConverseResponse: output! ConverseOutput, stopReason! StopReason, usage! TokenUsage, metrics! ConverseMetrics, additionalModelResponseFields Document, trace Trace, performanceConfig PerformanceConfiguration, serviceTier ServiceTier
ConverseOutput |: message Message
ConverseMetrics: latencyMs! Long
TokenUsage: inputTokens! Count, outputTokens! Count, totalTokens! Count, cacheReadInputTokens Count, cacheWriteInputTokens Count, cacheDetails [CacheDetail]
CacheDetail: ttl! CacheTTL, inputTokens! Count
CountTokensResponse: inputTokens! Integer
Trace: guardrail GuardrailTraceAssessment, promptRouter PromptRouterTrace
PromptRouterTrace: invokedModelId String

MessageStartEvent: role! ConversationRole
ContentBlockStartEvent: start! ContentBlockStart, contentBlockIndex! Count
ContentBlockDeltaEvent: delta! ContentBlockDelta, contentBlockIndex! Count
ContentBlockStopEvent: contentBlockIndex! Count
MessageStopEvent: stopReason! StopReason, additionalModelResponseFields Document
ConverseStreamMetadataEvent: usage! TokenUsage, metrics! ConverseMetrics, trace Trace, performanceConfig PerformanceConfiguration, serviceTier ServiceTier

ContentBlockStart |: toolUse ToolUseBlockStart, toolResult ToolResultBlockStart, image ImageBlockStart
ToolUseBlockStart: toolUseId! ToolUseId, name! ToolName, type ToolUseType
ToolResultBlockStart: toolUseId! ToolUseId, type String, status ToolResultStatus
ImageBlockStart: format! ImageFormat

ContentBlockDelta |: text String, toolUse ToolUseBlockDelta, toolResult [ToolResultBlockDelta], reasoningContent ReasoningContentBlockDelta, citation CitationsDelta, image ImageBlockDelta
ToolUseBlockDelta: input! String
ToolResultBlockDelta |: text String, json Document
ReasoningContentBlockDelta |: text String, redactedContent Blob, signature String
CitationsDelta: title String, source String, sourceContent [CitationSourceContentDelta], location CitationLocation
CitationSourceContentDelta: text String
ImageBlockDelta: source ImageSource, error ErrorBlock

GuardrailTraceAssessment: modelOutput [String], inputAssessment {GuardrailAssessment}, outputAssessments {GuardrailAssessments}, actionReason String
GuardrailAssessments: [GuardrailAssessment]
GuardrailAssessment: topicPolicy TopicPolicy, contentPolicy ContentPolicy, wordPolicy WordPolicy, sensitiveInformationPolicy SensitiveInformationPolicy, contextualGroundingPolicy ContextualGroundingPolicy, automatedReasoningPolicy AutomatedReasoningPolicy, invocationMetrics InvocationMetrics, appliedGuardrailDetails AppliedGuardrailDetails
TopicPolicy: topics! [Topic]
Topic: name! String, type! String, action! String, detected Boolean
ContentPolicy: filters! [ContentFilter]
ContentFilter: type! String, confidence! String, filterStrength String, action! String, detected Boolean
WordPolicy: customWords! [CustomWord], managedWordLists! [ManagedWord]
CustomWord: match! String, action! String, detected Boolean
ManagedWord: match! String, type! String, action! String, detected Boolean
SensitiveInformationPolicy: piiEntities! [PiiEntity], regexes! [PatternFilter]
PiiEntity: match! String, type! String, action! String, detected Boolean
PatternFilter: name String, match String, regex String, action! String, detected Boolean
ContextualGroundingPolicy: filters [GroundingFilter]
GroundingFilter: type! String, threshold! Share, score! Share, action! String, detected Boolean
AppliedGuardrailDetails: guardrailId String, guardrailVersion String, guardrailArn String, guardrailOrigin [String], guardrailOwnership String
InvocationMetrics: guardrailProcessingLatency Long, usage GuardrailUsage, guardrailCoverage GuardrailCoverage
GuardrailUsage: topicPolicyUnits! Integer, contentPolicyUnits! Integer, wordPolicyUnits! Integer, sensitiveInformationPolicyUnits! Integer, sensitiveInformationPolicyFreeUnits! Integer, contextualGroundingPolicyUnits! Integer, contentPolicyImageUnits Integer, automatedReasoningPolicyUnits Integer, automatedReasoningPolicies Integer
GuardrailCoverage: textCharacters Coverage, images Coverage
Coverage: guarded Integer, total Integer

AutomatedReasoningPolicy: findings [Finding]
Finding |: valid ValidFinding, invalid InvalidFinding, satisfiable SatisfiableFinding, impossible ImpossibleFinding, translationAmbiguous AmbiguousFinding, tooComplex NoMembers, noTranslations NoMembers
NoMembers:
ValidFinding: translation Translation, claimsTrueScenario Scenario, supportingRules [Rule], logicWarning LogicWarning
InvalidFinding: translation Translation, contradictingRules [Rule], logicWarning LogicWarning
SatisfiableFinding: translation Translation, claimsTrueScenario Scenario, claimsFalseScenario Scenario, logicWarning LogicWarning
ImpossibleFinding: translation Translation, contradictingRules [Rule], logicWarning LogicWarning
AmbiguousFinding: options [TranslationOption], differenceScenarios [Scenario]
TranslationOption: translations [Translation]
Translation: premises [Statement], claims [Statement], untranslatedPremises [TextReference], untranslatedClaims [TextReference], confidence Share
Scenario: statements [Statement]
Statement: logic String, naturalLanguage String
TextReference: text String
Rule: identifier String, policyVersionArn String
LogicWarning: type String, premises [Statement], claims [Statement]
"""

# Shapes that the lines above use and that are no structures.
SCALARS = {
    "Integer": {"type": "integer"},
    "Count": {"type": "integer", "min": 0},
    "Long": {"type": "long"},
    "Share": {"type": "double", "min": 0, "max": 1},
    "StopReason": {
        "type": "string",
        "enum": [
            "end_turn",
            "tool_use",
            "max_tokens",
            "stop_sequence",
            "guardrail_intervened",
            "content_filtered",
            "malformed_model_output",
            "malformed_tool_use",
            "model_context_window_exceeded",
        ],
    },
}


def service_model():
    shapes = dict(SCALARS)
    for name, shape in json.loads(REQUESTS.read_text()).items():
        shapes[name] = of_request(shape)
    for line in REPLIES.strip().splitlines():
        if line:
            name, _, members = line.partition(":")
            add_reply(shapes, name, members.strip())
    references = [it for shape in shapes.values() for it in references_of(shape)]
    assert all(it in shapes for it in references), [it for it in references if it not in shapes]
    return {
        "_source": "an excerpt, made by generate.py; see service_model.py",
        "shapes": dict(sorted(shapes.items())),
    }


def of_request(shape):
    kind = shape["kind"]
    type = {"union": "structure", "document": "structure", "enum": "string"}.get(kind, kind)
    made = {"type": type, **{key: shape[key] for key in ("required", "min", "max", "pattern") if key in shape}}
    if kind in ("structure", "union"):
        made["members"] = {name: {"shape": it} for name, it in shape.get("members", {}).items()}
    if kind in ("union", "document"):
        made[kind] = True
    if kind == "enum":
        made["enum"] = shape["values"]
    if kind == "list":
        made["member"] = {"shape": shape["of"]}
    if kind == "map":
        made |= {"key": {"shape": shape["key"]}, "value": {"shape": shape["of"]}}
    return made


def add_reply(shapes, name, members):
    is_union = name.endswith(" |")
    name = name.removesuffix(" |")
    assert name not in shapes, name
    if members.startswith("["):
        shapes[name] = {"type": "list", "member": {"shape": members[1:-1]}}
        return
    shape = {"type": "structure", "members": {}}
    for member in members.split(", ") if members else []:
        member, type = member.split()
        if member.endswith("!"):
            member = member.removesuffix("!")
            shape.setdefault("required", []).append(member)
        shape["members"][member] = {"shape": collection(shapes, type)}
    if is_union:
        shape["union"] = True
    shapes[name] = shape


def collection(shapes, type):
    """The name of a type, which becomes a shape of its own if it is a list or a map."""
    if type.startswith("["):
        name, shape = f"ListOf{type[1:-1]}", {"type": "list", "member": {"shape": type[1:-1]}}
    elif type.startswith("{"):
        value = type[1:-1]
        name = f"MapOf{value}"
        shape = {"type": "map", "key": {"shape": "String"}, "value": {"shape": value}}
    else:
        return type
    shapes[name] = shape
    return name


def references_of(shape):
    members = list(shape.get("members", {}).values())
    members += [shape[part] for part in ("member", "key", "value") if part in shape]
    return [it["shape"] for it in members]
