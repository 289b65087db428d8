// Package switchboard is the Go client for Switchboard, a gRPC gateway in front of Amazon Bedrock. You name a kind of
// work; Switchboard chooses the model, falls back when one fails, and says what it did.
//
// The layer is thin: requests and replies are the generated types of the contract, in package
// [github.com/switchboard-ai/switchboard/client/go/switchboard/v1]. README.md shows it all.
package switchboard
