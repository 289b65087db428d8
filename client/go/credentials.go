package switchboard

import "context"

// bearerToken is sent with every call and never printed.
type bearerToken string

func (token bearerToken) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	return map[string]string{"authorization": "Bearer " + string(token)}, nil
}

// RequireTransportSecurity returns false, because the connection to a sidecar that adds TLS is not encrypted.
func (bearerToken) RequireTransportSecurity() bool { return false }

func (bearerToken) String() string { return "Bearer …" }

func (bearerToken) GoString() string { return "Bearer …" }
