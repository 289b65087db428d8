package switchboard

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	pb "github.com/switchboard-ai/switchboard/client/go/switchboard/v1"
)

// Error is the error of a failed call. Branch on Kind, Code and Reason, never on Message. [errors.As] finds
// it. [errors.Is] finds [context.Canceled] if the client cancelled the call, and [context.DeadlineExceeded]
// if a deadline passed.
type Error struct {
	// Kind is the origin of the failure.
	Kind ErrorKind
	// Code is the gRPC code. For a failure on the client, the code that fits best.
	Code codes.Code
	// Message is for people to read.
	Message string
	// Reason is Switchboard's reason. Unspecified: the error has no reason, or one that is newer than this
	// client; see ReasonText.
	Reason pb.ErrorReason
	// ReasonText is Switchboard's reason as text, such as "BEDROCK_THROTTLED". Empty: the error has no reason.
	ReasonText string
	// FieldViolations are the invalid fields of the request.
	FieldViolations []FieldViolation
	// RequestID identifies the call in logs and for support. Empty: Switchboard sent none.
	RequestID string
	// Route has every attempt. Nil: the call failed before its task was resolved.
	Route *pb.Route

	retryAfter *time.Duration
	status     *status.Status
	cause      error
}

// FieldViolation is an invalid field of a request.
type FieldViolation struct {
	// Field is the path of the field, such as "messages[0].content".
	Field string
	// Problem says what is wrong, and how to fix it.
	Problem string
}

// ErrorKind is the origin of a failure. Later versions can have more kinds.
type ErrorKind int

const (
	// KindStatus: Switchboard, or a proxy, returned an error. See the reason.
	KindStatus ErrorKind = iota
	// KindOptions: the options are invalid, for example the address or a certificate.
	KindOptions
	// KindConnect: no connection to Switchboard could be opened. The call was not sent.
	KindConnect
	// KindTransport: the connection broke during the call. The server may have processed the call.
	KindTransport
	// KindDeadline: the deadline passed on the client before Switchboard answered.
	KindDeadline
	// KindCancelled: the client cancelled the call.
	KindCancelled
	// KindIncomplete: the stream ended without metadata, so the answer is incomplete.
	KindIncomplete
	// KindRestarted: another model started over, and the text that was already returned cannot be taken back.
	KindRestarted
)

// Error returns one line: the message and, in parentheses, the reason.
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

// RetryAfter returns the minimum time to wait before a retry can succeed; false: waiting does not help.
func (e *Error) RetryAfter() (time.Duration, bool) {
	if e.retryAfter == nil {
		return 0, false
	}
	return *e.retryAfter, true
}

// GRPCStatus returns the original status, for details that are not in Error.
func (e *Error) GRPCStatus() *status.Status {
	if e.status == nil {
		return status.New(e.Code, e.Message)
	}
	return e.status
}

// Unwrap returns the error of the context if the call's context or a deadline ended the call.
func (e *Error) Unwrap() error { return e.cause }

// AsError converts an error of a generated stub or of this package. Nil: it is neither.
func AsError(err error) *Error {
	if own, ok := errors.AsType[*Error](err); ok {
		return own
	}
	if converted, ok := status.FromError(err); ok && converted.Code() != codes.OK {
		return fromStatus(converted)
	}
	return nil
}

// fromStatus converts a status with the details that Switchboard adds.
func fromStatus(s *status.Status) *Error {
	e := newError(KindStatus, s.Code(), s.Message())
	e.status = s
	for _, detail := range s.Details() {
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
	e := newError(KindCancelled, codes.Canceled, "the call was cancelled")
	e.cause = context.Canceled
	return e
}

func incomplete() *Error {
	return newError(KindIncomplete, codes.Internal, "the stream ended without metadata: the answer is incomplete")
}

func restarted(reason pb.ErrorReason) *Error {
	e := newError(KindRestarted, codes.Aborted, "another model started over after text had been returned")
	e.Reason = reason
	if reason != pb.ErrorReason_ERROR_REASON_UNSPECIFIED {
		e.ReasonText = strings.TrimPrefix(reason.String(), "ERROR_REASON_")
	}
	return e
}

func optionsError(format string, values ...any) *Error {
	return newError(KindOptions, codes.InvalidArgument, fmt.Sprintf(format, values...))
}

func newError(kind ErrorKind, code codes.Code, message string) *Error {
	return &Error{Kind: kind, Code: code, Message: message}
}

// contextError returns the error of the context that ended a call; nil if the context did not. Switchboard's
// own deadline error can arrive shortly before the deadline of the context.
func contextError(ctx context.Context, failure *Error) error {
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
