package switchboard

// The task types that every Switchboard knows. A configuration may name more: a task type is any string.
const (
	// TaskReasoning is for long chains of thought, where quality matters more than speed.
	TaskReasoning = "reasoning"
	// TaskCoding is for writing and changing programs.
	TaskCoding = "coding"
	// TaskAnalysis is for reading closely and drawing conclusions.
	TaskAnalysis = "analysis"
	// TaskSummarization is for saying the same in fewer words.
	TaskSummarization = "summarization"
	// TaskClassification is for choosing one of a few labels.
	TaskClassification = "classification"
	// TaskDefault is for everything else; also what a request without a task means.
	TaskDefault = "default"
)
