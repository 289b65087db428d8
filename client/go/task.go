package switchboard

// Names of common tasks. A task type is any string that the server's configuration defines.
const (
	// TaskReasoning is for multi-step reasoning, where quality matters more than speed.
	TaskReasoning = "reasoning"
	// TaskCoding is for writing and changing code.
	TaskCoding = "coding"
	// TaskAnalysis is for the analysis of documents and data.
	TaskAnalysis = "analysis"
	// TaskSummarization is for summaries.
	TaskSummarization = "summarization"
	// TaskClassification is for choosing one of a few labels.
	TaskClassification = "classification"
	// TaskDefault is for everything else. It is also used for a request without a task.
	TaskDefault = "default"
)
