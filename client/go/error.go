package switchboard

import (
	"context"
	"errors"
	"fmt"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	pb "github.com/switchboard-ai/switchboard/client/go/switchboard/v1"
)

// Error is why a call failed. Branch on its Kind, Code and Reason, never on its Message. [errors.As] finds it, and
// [errors.Is] finds [context.Canceled] where the call was cancelled here, and [context.DeadlineExceeded] where a deadline ran
// out.
type Error struct {
	// Kind is where the failure comes from.
	Kind ErrorKind
	// Code is gRPC's; for failures on this side, the one that fits best.
	Code codes.Code
	// Message is what went wrong, in words.
	Message string
	// Reason is Switchboard's. Unspecified: it gave none, or one newer than this client; see ReasonText.
	Reason pb.ErrorReason
	// ReasonText is Switchboard's reason, such as "BEDROCK_THROTTLED"; empty where it gave none.
	ReasonText string
	// FieldViolations are the fields of the request that are wrong.
	FieldViolations []FieldViolation
	// RequestID names the call, in logs and to support; empty where Switchboard gave none.
	RequestID string
	// Route has every attempt that was made. Nil: the call failed before its task was resolved.
	Route *pb.Route

	retryAfter *time.Duration
	status     *status.Status
	cause      error
}

// FieldViolation is a field of the request that is wrong.
type FieldViolation struct {
	// Field is its path, such as "messages[0].content".
	Field string
	// Problem is what is wrong with it, and how to mend it.
	Problem string
}

// ErrorKind is where a failure comes from. There may be more in time.
type ErrorKind int

const (
	// KindStatus says that Switchboard, or something before it, said no: see the reason.
	KindStatus ErrorKind = iota
	// KindOptions says that the options are wrong: an address or a certificate that cannot be read.
	KindOptions
	// KindConnect says that Switchboard could not be reached; nothing was asked.
	KindConnect
	// KindTransport says that the connection broke during the call; what was asked may have been done.
	KindTransport
	// KindDeadline says that the deadline passed here before Switchboard answered.
	KindDeadline
	// KindCancelled says that the call was cancelled here.
	KindCancelled
	// KindIncomplete says that a stream ended without its metadata: the answer is not whole.
	KindIncomplete
	// KindRestarted says that a stream started over, and its reader could not.
	KindRestarted
)

// Error is one line for people: what went wrong and, in brackets, the reason.
func (e *Error) Error() string {
	switch {
	case e.Kind == KindOptions || e.Kind == KindConnect:
		return e.Message
	case e.Message == "":
		return orElse(e.ReasonText, e.Code.String())
	case e.ReasonText != "":
		return fmt.Sprintf("%s (%s)", e.Message, e.ReasonText)
	default:
		return fmt.Sprintf("%s (%s)", e.Message, e.Code)
	}
}

// RetryAfter is how long to wait at least before the same call may work; false: waiting does not help.
func (e *Error) RetryAfter() (time.Duration, bool) {
	if e.retryAfter == nil {
		return 0, false
	}
	return *e.retryAfter, true
}

// GRPCStatus is the status as it came, for what is not taken out of it here.
func (e *Error) GRPCStatus() *status.Status {
	if e.status == nil {
		return status.New(e.Code, e.Message)
	}
	return e.status
}

// Unwrap is the context's error where the call's context, or a deadline, ended it.
func (e *Error) Unwrap() error { return e.cause }

// AsError reads an error of a generated stub, or one of this package's. Nil: it is neither.
func AsError(err error) *Error {
	if own, ok := errors.AsType[*Error](err); ok {
		return own
	}
	if told, ok := status.FromError(err); ok && told.Code() != codes.OK {
		return fromStatus(told)
	}
	return nil
}

// fromStatus takes out of a status all that Switchboard puts into it.
func fromStatus(told *status.Status) *Error {
	e := here(KindStatus, told.Code(), told.Message())
	e.status = told
	for _, detail := range told.Details() {
		switch detail := detail.(type) {
		case *errdetails.ErrorInfo:
			e.ReasonText = detail.GetReason()
			e.Reason = pb.ErrorReason(pb.ErrorReason_value["ERROR_REASON_"+detail.GetReason()])
		case *errdetails.RetryInfo:
			after := detail.GetRetryDelay().AsDuration()
			e.retryAfter = &after
		case *errdetails.RequestInfo:
			e.RequestID = detail.GetRequestId()
		case *errdetails.BadRequest:
			for _, it := range detail.GetFieldViolations() {
				violation := FieldViolation{Field: it.GetField(), Problem: it.GetDescription()}
				e.FieldViolations = append(e.FieldViolations, violation)
			}
		case *pb.Route:
			e.Route = detail
		}
	}
	return e
}

func cancelled() *Error {
	e := here(KindCancelled, codes.Canceled, "the call was cancelled")
	e.cause = context.Canceled
	return e
}

func incomplete() *Error {
	return here(KindIncomplete, codes.Internal, "the stream ended without its metadata: the answer is not whole")
}

func restarted(reason string) *Error {
	e := here(KindRestarted, codes.Aborted, "another model started over after words had been given out")
	e.ReasonText = reason
	e.Reason = pb.ErrorReason(pb.ErrorReason_value["ERROR_REASON_"+reason])
	return e
}

func optionsError(format string, values ...any) *Error {
	return here(KindOptions, codes.InvalidArgument, fmt.Sprintf(format, values...))
}

func here(kind ErrorKind, code codes.Code, message string) *Error {
	return &Error{Kind: kind, Code: code, Message: message}
}

// endedHere is the error of the context that ended a call, if that is what did. Switchboard's own word about the caller's
// deadline may come a moment before the deadline itself.
func endedHere(ctx context.Context, failure *Error) error {
	switch {
	case failure.Code == codes.Canceled && errors.Is(ctx.Err(), context.Canceled):
		return context.Canceled
	case failure.Code != codes.DeadlineExceeded:
		return nil
	case failure.ReasonText == "DEADLINE_EXCEEDED" || errors.Is(ctx.Err(), context.DeadlineExceeded):
		return context.DeadlineExceeded
	default:
		return nil
	}
}
