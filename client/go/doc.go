// Package switchboard is the Go client for Switchboard, a gRPC gateway for Amazon Bedrock. Callers name a
// task; Switchboard chooses the model, falls back to another model if one fails, and returns the route that
// the call took.
//
// Requests and replies are the generated types of the contract, in package
// [github.com/switchboard-ai/switchboard/client/go/switchboard/v1]. See README.md for examples.
package switchboard
