"""The exchanges of the sample. All prompts, answers and ids are invented; none of them was sent to a service."""

HAIKU = "us.anthropic.claude-haiku-4-5-20251001-v1:0"
SONNET = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
NOVA = "us.amazon.nova-2-lite-v1:0"
NOVA_PRO = "us.amazon.nova-pro-v1:0"

# A PNG of one pixel.
PIXEL = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
)

TIDE_TOOL = {
    "toolSpec": {
        "name": "tide_table",
        "description": "Times of high and low water at a harbour",
        "inputSchema": {
            "json": {
                "type": "object",
                "properties": {"harbour": {"type": "string"}, "days": {"type": "integer", "minimum": 1}},
                "required": ["harbour"],
            }
        },
    }
}


def user(*content):
    return {"role": "user", "content": [{"text": it} if isinstance(it, str) else it for it in content]}


def assistant(*content):
    return {"role": "assistant", "content": [{"text": it} if isinstance(it, str) else it for it in content]}


def tool_use(id, name, input):
    return {"toolUse": {"toolUseId": id, "name": name, "input": input}}


def usage(input, output, **more):
    return {"inputTokens": input, "outputTokens": output, "totalTokens": input + output, **more}


def answer(message, stop_reason, used, latency, **more):
    output = {"output": {"message": message}, "stopReason": stop_reason, "usage": used}
    return {**output, "metrics": {"latencyMs": latency}, **more}


def thinking(budget):
    return {"thinking": {"type": "enabled", "budget_tokens": budget}}


# Name, model, request, response, features.
CONVERSE = [
    (
        "plain",
        HAIKU,
        {
            "messages": [user("Name one lighthouse keeper's duty.")],
            "system": [{"text": "You answer in one sentence."}],
            "inferenceConfig": {"maxTokens": 200, "temperature": 0.2},
        },
        answer(assistant("A keeper trims the lamp before dusk."), "end_turn", usage(24, 10), 812),
        ["text", "system", "resp_text", "stop_end_turn"],
    ),
    (
        "without-a-limit",
        NOVA,
        {"messages": [user("Write \u201cgood morning\u201d in Japanese, with a crab.")]},
        answer(assistant("\u304a\u306f\u3088\u3046 \U0001f980\n\t\"\\/\u00e9"), "end_turn", usage(15, 9), 401),
        ["text", "resp_non_ascii", "resp_astral_unicode"],
    ),
    (
        "empty-text",
        NOVA,
        {"messages": [user("Say nothing.")], "system": [], "inferenceConfig": {"maxTokens": 20}},
        answer(assistant(""), "end_turn", usage(5, 1), 90),
        ["text", "system_empty_list", "resp_text_empty"],
    ),
    (
        "stop-sequence",
        SONNET,
        {
            "messages": [user("Count upwards."), assistant("One, two."), user("Go on.")],
            "inferenceConfig": {"maxTokens": 50, "topP": 0.9, "stopSequences": ["five"]},
        },
        answer(assistant("Three, four, "), "stop_sequence", usage(31, 7), 655),
        ["text", "multi_turn", "stop_stop_sequence"],
    ),
    (
        "tool-use",
        HAIKU,
        {
            "messages": [user("When is high water at Saltmouth?")],
            "toolConfig": {"tools": [TIDE_TOOL], "toolChoice": {"auto": {}}},
            "inferenceConfig": {"maxTokens": 300},
        },
        answer(
            assistant(
                "I will look it up.",
                tool_use(
                    "tooluse_sample_1",
                    "tide_table",
                    {"harbour": "Saltmouth", "days": 2, "station": 9007199254740993, "datum": -0.125},
                ),
            ),
            "tool_use",
            usage(402, 71),
            1210,
        ),
        ["tool_config", "tool_choice_auto", "resp_tool_use", "stop_tool_use"],
    ),
    (
        "two-tools",
        SONNET,
        {
            "messages": [user("High water at Saltmouth and at Gullrock, please.")],
            "toolConfig": {"tools": [TIDE_TOOL], "toolChoice": {"any": {}}},
            "inferenceConfig": {"maxTokens": 300},
        },
        answer(
            assistant(
                tool_use("tooluse_sample_2", "tide_table", {"harbour": "Saltmouth"}),
                tool_use("tooluse_sample_3", "tide_table", {}),
            ),
            "tool_use",
            usage(410, 88),
            1433,
        ),
        ["tool_config", "tool_choice_any", "resp_parallel_tool_use", "resp_tool_use_empty_input"],
    ),
    (
        "tool-results",
        HAIKU,
        {
            "messages": [
                user("High water at Saltmouth and at Gullrock, please."),
                assistant(
                    tool_use("tooluse_sample_4", "tide_table", {"harbour": "Saltmouth"}),
                    tool_use("tooluse_sample_5", "tide_table", {"harbour": "Gullrock"}),
                ),
                user(
                    {
                        "toolResult": {
                            "toolUseId": "tooluse_sample_4",
                            "content": [{"json": {"high": ["06:12", "18:40"], "metres": 4.5}}],
                            "status": "success",
                        }
                    },
                    {
                        "toolResult": {
                            "toolUseId": "tooluse_sample_5",
                            "content": [{"text": "no such harbour"}],
                            "status": "error",
                        }
                    },
                ),
            ],
            "toolConfig": {"tools": [TIDE_TOOL]},
            "inferenceConfig": {"maxTokens": 300},
        },
        answer(assistant("Saltmouth: 06:12 and 18:40."), "end_turn", usage(530, 21), 980),
        ["tool_result_json", "tool_result_error", "parallel_tool_results", "tool_use_in_history"],
    ),
    (
        "reasoning",
        HAIKU,
        {
            "messages": [user("Is 391 a prime number?")],
            "inferenceConfig": {"maxTokens": 3000},
            "additionalModelRequestFields": thinking(1024),
        },
        answer(
            assistant(
                {
                    "reasoningContent": {
                        "reasoningText": {
                            "text": "17 times 23 is 391.",
                            "signature": "c2FtcGxlLXNpZ25hdHVyZS1vZi1ub2JvZHk=",
                        }
                    }
                },
                "No: it is 17 times 23.",
            ),
            "end_turn",
            usage(47, 39),
            1902,
        ),
        ["thinking", "resp_reasoning", "resp_reasoning_signature"],
    ),
    (
        "reasoning-without-a-limit",
        HAIKU,
        {
            "messages": [user("Is 397 a prime number?")],
            "additionalModelRequestFields": thinking(2048),
        },
        answer(
            assistant({"reasoningContent": {"redactedContent": "AAECAwT/"}}, "Yes."),
            "end_turn",
            usage(47, 12),
            1711,
        ),
        ["thinking", "resp_reasoning_redacted"],
    ),
    (
        "image-and-document",
        SONNET,
        {
            "messages": [
                user(
                    "What do the picture and the log say?",
                    {"image": {"format": "png", "source": {"bytes": PIXEL}}},
                    {
                        "document": {
                            "format": "txt",
                            "name": "log",
                            "source": {"text": "Lamp lit at 17:02. Fog at 21:30."},
                            "citations": {"enabled": True},
                        }
                    },
                )
            ],
            "inferenceConfig": {"maxTokens": 400},
        },
        answer(
            assistant(
                "The log says: ",
                {
                    "citationsContent": {
                        "content": [{"text": "fog came at 21:30"}],
                        "citations": [
                            {
                                "title": "log",
                                "sourceContent": [{"text": "Fog at 21:30."}],
                                "location": {"documentChar": {"documentIndex": 0, "start": 19, "end": 32}},
                            }
                        ],
                    }
                },
            ),
            "end_turn",
            usage(145, 33),
            1505,
        ),
        ["image_bytes", "document_text", "document_citations_enabled", "resp_citations"],
    ),
    (
        "cached",
        HAIKU,
        {
            "messages": [user("Summarise the rules.")],
            "system": [
                {"text": "Rule 1: the lamp is never dark. " * 600},
                {"cachePoint": {"type": "default"}},
            ],
            "inferenceConfig": {"maxTokens": 100},
        },
        answer(
            assistant("The lamp is never dark."),
            "end_turn",
            usage(
                9,
                8,
                cacheReadInputTokens=0,
                cacheWriteInputTokens=5401,
                cacheReadInputTokenCount=0,
                cacheWriteInputTokenCount=5401,
                cacheDetails=[{"ttl": "5m", "inputTokens": 5401}],
            ),
            1333,
        ),
        ["cache_point_system", "usage_cache"],
    ),
    (
        "read-from-cache",
        HAIKU,
        {
            "messages": [user("Summarise the rules.")],
            "system": [
                {"text": "Rule 1: the lamp is never dark. " * 600},
                {"cachePoint": {"type": "default"}},
            ],
            "inferenceConfig": {"maxTokens": 101},
        },
        answer(
            assistant("The lamp is never dark."),
            "end_turn",
            usage(9, 8, cacheReadInputTokens=5401, cacheWriteInputTokens=0),
            611,
        ),
        ["cache_point_system", "usage_cache"],
    ),
    (
        "flex-tier",
        NOVA_PRO,
        {
            "messages": [user("What is a cable?")],
            "serviceTier": {"type": "flex"},
            "inferenceConfig": {"maxTokens": 60},
        },
        answer(assistant("A tenth of a mile."), "end_turn", usage(6, 7), 300, serviceTier={"type": "flex"}),
        ["text", "service_tier"],
    ),
    (
        "guardrail",
        NOVA,
        {
            "messages": [user("Tell me the keeper's telephone number.")],
            "guardrailConfig": {
                "guardrailIdentifier": "sampleguard1",
                "guardrailVersion": "1",
                "trace": "enabled",
            },
            "inferenceConfig": {"maxTokens": 60},
        },
        answer(
            assistant("This cannot be answered."),
            "guardrail_intervened",
            usage(0, 0),
            210,
            trace={
                "guardrail": {
                    "inputAssessment": {
                        "sampleguard1": {
                            "topicPolicy": {
                                "topics": [
                                    {"name": "telephone", "type": "DENY", "action": "BLOCKED", "detected": True}
                                ]
                            },
                            "invocationMetrics": {
                                "guardrailProcessingLatency": 150,
                                "usage": {
                                    "topicPolicyUnits": 1,
                                    "contentPolicyUnits": 0,
                                    "wordPolicyUnits": 0,
                                    "sensitiveInformationPolicyUnits": 0,
                                    "sensitiveInformationPolicyFreeUnits": 0,
                                    "contextualGroundingPolicyUnits": 0,
                                },
                                "guardrailCoverage": {"textCharacters": {"guarded": 38, "total": 38}},
                            },
                        }
                    },
                    "outputAssessments": {
                        "sampleguard1": [
                            {
                                "wordPolicy": {
                                    "customWords": [
                                        {"match": "lantern", "action": "NONE", "detected": True}
                                    ],
                                    "managedWordLists": [
                                        {"match": "fathom", "type": "PROFANITY", "action": "NONE"}
                                    ],
                                }
                            }
                        ]
                    },
                    "actionReason": "a denied topic",
                }
            },
        ),
        ["guardrail_config", "guardrail_trace", "stop_guardrail_intervened"],
    ),
]

# Accepted although the service model has no such member: a request that the contract cannot carry whole.
OUTSIDE_THE_MODEL = (
    "unknown-member",
    NOVA,
    {
        "messages": [user("What is a fathom?")],
        "inferenceConfig": {"maxTokens": 60},
        "notInTheModel": {"a": 1},
    },
    answer(assistant("Six feet of water."), "end_turn", usage(6, 6), 230),
    ["text", "request_outside_service_model"],
    ["unknown member notInTheModel"],
)


def start():
    return ("messageStart", {"role": "assistant"})


def text(index, part):
    return ("contentBlockDelta", {"contentBlockIndex": index, "delta": {"text": part}})


def stop(index):
    return ("contentBlockStop", {"contentBlockIndex": index})


def end(reason, used, latency, **more):
    metadata = {"usage": used, "metrics": {"latencyMs": latency}, **more}
    return [("messageStop", {"stopReason": reason}), ("metadata", metadata)]


def tool_part(index, part):
    return ("contentBlockDelta", {"contentBlockIndex": index, "delta": {"toolUse": {"input": part}}})


def reasoning_part(index, delta):
    return ("contentBlockDelta", {"contentBlockIndex": index, "delta": {"reasoningContent": delta}})


# Name, model, request, events, features. An exception is an event whose name ends in "Exception".
CONVERSE_STREAM = [
    (
        "plain",
        HAIKU,
        {"messages": [user("Name a knot.")], "inferenceConfig": {"maxTokens": 20}},
        [start(), text(0, "A bow"), text(0, "line."), stop(0), *end("end_turn", usage(11, 5), 340)],
        ["text", "resp_text"],
    ),
    (
        "unicode",
        NOVA,
        {"messages": [user("Greet the crab.")]},
        [
            start(),
            text(0, ""),
            text(0, "\u304a\u306f"),
            text(0, "\u3088\u3046 \U0001f980"),
            text(0, "\n\"\\"),
            stop(0),
            *end("end_turn", usage(8, 9), 410, serviceTier={"type": "default"}),
        ],
        ["text", "resp_non_ascii", "resp_astral_unicode"],
    ),
    (
        "tool-use",
        HAIKU,
        {
            "messages": [user("When is high water at Saltmouth?")],
            "toolConfig": {"tools": [TIDE_TOOL], "toolChoice": {"tool": {"name": "tide_table"}}},
            "inferenceConfig": {"maxTokens": 300},
        },
        [
            start(),
            (
                "contentBlockStart",
                {
                    "contentBlockIndex": 0,
                    "start": {"toolUse": {"toolUseId": "tooluse_sample_6", "name": "tide_table"}},
                },
            ),
            tool_part(0, ""),
            tool_part(0, '{"harbour": "Salt'),
            tool_part(0, 'mouth", "station": 9007199254740993}'),
            stop(0),
            *end("tool_use", usage(398, 52), 1180),
        ],
        ["tool_config", "tool_choice_tool", "stream_start_toolUse", "stream_empty_tool_delta"],
    ),
    (
        "reasoning",
        HAIKU,
        {
            "messages": [user("Is 391 a prime number?")],
            "inferenceConfig": {"maxTokens": 3000},
            "additionalModelRequestFields": thinking(1024),
        },
        [
            start(),
            reasoning_part(0, {"text": "17 times 23"}),
            reasoning_part(0, {"text": " is 391."}),
            reasoning_part(0, {"signature": "c2FtcGxlLXNpZ25hdHVyZS1vZi1ub2JvZHk="}),
            stop(0),
            reasoning_part(1, {"redactedContent": "AAECAwT/"}),
            stop(1),
            text(2, "No."),
            stop(2),
            *end("end_turn", usage(47, 30), 1650),
        ],
        ["thinking", "stream_delta_reasoning", "stream_delta_signature"],
    ),
    (
        "cached",
        SONNET,
        {
            "messages": [user("Summarise the rules.")],
            "system": [
                {"text": "Rule 1: the lamp is never dark. " * 200},
                {"cachePoint": {"type": "default"}},
            ],
            "inferenceConfig": {"maxTokens": 100},
        },
        [
            start(),
            text(0, "The lamp is never dark."),
            stop(0),
            *end(
                "end_turn",
                usage(9, 8, cacheReadInputTokens=1801, cacheWriteInputTokens=0, cacheDetails=[]),
                520,
                performanceConfig={"latency": "standard"},
            ),
        ],
        ["cache_point_system", "usage_cache"],
    ),
    (
        "throttled-inside",
        NOVA,
        {"messages": [user("Describe the harbour.")], "inferenceConfig": {"maxTokens": 500}},
        [
            start(),
            text(0, "The harbour lies"),
            ("throttlingException", {"message": "Too many tokens, please wait before trying again."}),
        ],
        ["text", "stream_exception"],
    ),
    (
        "model-error-inside",
        SONNET,
        {"messages": [user("Describe the pier.")], "inferenceConfig": {"maxTokens": 500}},
        [
            start(),
            text(0, "The pier"),
            (
                "modelStreamErrorException",
                {
                    "message": "The model stopped unexpectedly.",
                    "originalMessage": "stopped",
                    "originalStatusCode": 500,
                },
            ),
        ],
        ["text", "stream_exception"],
    ),
]

# Name, events: streams whose request is not part of the sample.
STREAMS_ALONE = [
    (
        "two-blocks",
        [
            start(),
            text(0, "Fog"),
            stop(0),
            text(1, " at dawn"),
            stop(1),
            *end("max_tokens", usage(12, 2), 75),
        ],
    ),
    ("refused-at-once", [("validationException", {"message": "The messages field is empty."})]),
]

# Name, operation, model, request, status, error type, message.
ERRORS = [
    (
        "throttled",
        "Converse",
        HAIKU,
        {"messages": [user("Name a star.")], "inferenceConfig": {"maxTokens": 20}},
        429,
        "ThrottlingException",
        "Too many requests, please wait before trying again.",
    ),
    (
        "throttled-stream",
        "ConverseStream",
        SONNET,
        {"messages": [user("Name a star.")], "inferenceConfig": {"maxTokens": 20}},
        429,
        "ThrottlingException",
        "Too many requests, please wait before trying again.",
    ),
    (
        "document-without-text",
        "Converse",
        HAIKU,
        {
            "messages": [
                user({"document": {"format": "txt", "name": "log", "source": {"bytes": "TGFtcCBsaXQu"}}})
            ],
            "inferenceConfig": {"maxTokens": 20},
        },
        400,
        "ValidationException",
        "A text block must be included when using documents. Add a text block and retry your request.",
    ),
    (
        "unknown-model",
        "Converse",
        "sample.no-such-model-v1:0",
        {"messages": [user("Name a star.")], "inferenceConfig": {"maxTokens": 20}},
        400,
        "ValidationException",
        "The provided model identifier is invalid.",
    ),
    (
        "unknown-model-of-a-count",
        "CountTokens",
        "sample.no-such-model-v1:0",
        {"input": {"converse": {"messages": [user("Name a star.")]}}},
        400,
        "ValidationException",
        "The provided model identifier is invalid.",
    ),
    (
        "access-denied",
        "Converse",
        NOVA,
        {"messages": [user("Name a star.")], "inferenceConfig": {"maxTokens": 20}},
        403,
        "AccessDeniedException",
        "You don't have access to the model with the specified model ID.",
    ),
    (
        "internal-error",
        "Converse",
        SONNET,
        {"messages": [user("Name a star.")], "inferenceConfig": {"maxTokens": 20}},
        500,
        "InternalServerException",
        "The system encountered an unexpected error. Try your request again.",
    ),
    (
        "no-capacity",
        "ConverseStream",
        NOVA,
        {"messages": [user("Name a star.")], "inferenceConfig": {"maxTokens": 20}},
        503,
        "ServiceUnavailableException",
        "The service has no capacity at the moment.",
    ),
]


def bare(profile):
    """The model of an inference profile. CountTokens does not accept profiles."""
    return profile.removeprefix("us.")


# Name, operation, model, request, response.
OTHER_OPERATIONS = [
    (
        "count",
        "CountTokens",
        bare(HAIKU),
        {
            "input": {
                "converse": {
                    "messages": [user("How long is this question?")],
                    "system": [{"text": "You count."}],
                }
            }
        },
        {"inputTokens": 17},
    ),
    (
        "count-with-tools",
        "CountTokens",
        bare(SONNET),
        {
            "input": {
                "converse": {
                    "messages": [user("When is high water at Saltmouth?")],
                    "toolConfig": {"tools": [TIDE_TOOL]},
                }
            }
        },
        {"inputTokens": 391},
    ),
    (
        "guardrail",
        "ApplyGuardrail",
        "guardrail/sampleguard1",
        {"source": "INPUT", "content": [{"text": {"text": "Hello."}}]},
        {"action": "NONE", "outputs": [], "assessments": []},
    ),
]
