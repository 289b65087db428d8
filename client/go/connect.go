package switchboard

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/url"
	"strings"
	"time"

	"golang.org/x/net/http/httpguts"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
)

// DefaultAddress is where `switchboard serve` and `switchboard demo` listen unless told otherwise.
const DefaultAddress = "http://127.0.0.1:50051"

// MaxMessageBytes is the largest message received: gRPC's usual 4 MiB cannot hold Bedrock's documents and pictures.
const MaxMessageBytes = 64 << 20

const (
	version = "0.1.0"

	// defaultConnectTimeout is how long a connection may take to open, unless an option says otherwise.
	defaultConnectTimeout = 10 * time.Second

	// defaultKeepAlive is how often a quiet connection is probed during a call. Less than a minute would annoy the proxies
	// between.
	defaultKeepAlive = time.Minute

	// keepAliveTimeout is how long a probe may stay unanswered before the connection counts as broken.
	keepAliveTimeout = 20 * time.Second
)

// serviceConfig sends a call once more where Switchboard could not be reached, and nothing else: whatever Switchboard itself
// says comes with a pushback that forbids it, since it has tried every model by then.
const serviceConfig = `{
  "methodConfig": [{
    "name": [{}],
    "retryPolicy": {
      "maxAttempts": 2,
      "initialBackoff": "0.1s",
      "maxBackoff": "1s",
      "backoffMultiplier": 2,
      "retryableStatusCodes": ["UNAVAILABLE"]
    }
  }],
  "retryThrottling": {"maxTokens": 10, "tokenRatio": 0.1}
}`

// Option changes how Switchboard is reached.
type Option func(*options)

type options struct {
	token           string
	caPEM           []byte
	certPEM, keyPEM []byte
	deadline        time.Duration
	connectTimeout  time.Duration
	keepAlive       time.Duration
	inject          injector
	dial            []grpc.DialOption
	err             error
}

// WithBearerToken sends `authorization: Bearer …` with every call.
func WithBearerToken(token string) Option {
	return func(o *options) {
		if token == "" || !httpguts.ValidHeaderFieldValue(token) {
			o.fail("the bearer token is empty or has characters that a header cannot carry")
		}
		o.token = token
	}
}

// WithCACertificate trusts the certificates in this PEM text, and no others. Implies TLS.
func WithCACertificate(pem []byte) Option {
	return func(o *options) { o.caPEM = pem }
}

// WithClientCertificate shows this certificate (PEM, with its chain) to the server. Implies TLS.
func WithClientCertificate(pem, key []byte) Option {
	return func(o *options) { o.certPEM, o.keyPEM = pem, key }
}

// WithDeadline says how long each call may take, to the end of its stream; Switchboard and Bedrock stop then too. An earlier
// deadline of the call's context comes before it. Without either the task's own deadline holds.
func WithDeadline(deadline time.Duration) Option {
	return func(o *options) { o.deadline = deadline }
}

// WithConnectTimeout says how long a connection may take to open: 10 seconds unless set.
func WithConnectTimeout(timeout time.Duration) Option {
	return func(o *options) { o.connectTimeout = timeout }
}

// WithKeepAlive says how often a quiet connection is probed during a call: every minute unless set; gRPC takes no less than
// 10 seconds.
func WithKeepAlive(interval time.Duration) Option {
	return func(o *options) { o.keepAlive = interval }
}

// WithDialOptions adds options of gRPC's own, after those that this package sets.
func WithDialOptions(dial ...grpc.DialOption) Option {
	return func(o *options) { o.dial = append(o.dial, dial...) }
}

// Connect makes a client: plain HTTP/2 for "http://host:port" and "host:port", TLS with the system's roots for
// "https://host:port". The connection opens with the first call, and again when it breaks.
func Connect(address string, opts ...Option) (*Client, error) {
	o := options{connectTimeout: defaultConnectTimeout, keepAlive: defaultKeepAlive}
	for _, option := range opts {
		option(&o)
	}
	target, secure := o.target(address)
	security := o.security(secure)
	if o.err != nil {
		return nil, o.err
	}
	dial := []grpc.DialOption{
		grpc.WithTransportCredentials(security),
		grpc.WithDefaultServiceConfig(serviceConfig),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(MaxMessageBytes)),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: o.keepAlive, Timeout: keepAliveTimeout}),
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.DefaultConfig,
			MinConnectTimeout: o.connectTimeout,
		}),
		grpc.WithUserAgent("switchboard-client-go/" + version),
	}
	if o.token != "" {
		dial = append(dial, grpc.WithPerRPCCredentials(bearerToken(o.token)))
	}
	conn, err := grpc.NewClient(target, append(dial, o.dial...)...)
	if err != nil {
		return nil, optionsError("address %q: %v", address, err)
	}
	return &Client{conn: conn, address: address, deadline: o.deadline, inject: o.inject}, nil
}

func (o *options) fail(format string, values ...any) {
	if o.err == nil {
		o.err = optionsError(format, values...)
	}
}

// target is the address as gRPC wants it, and whether TLS is meant.
func (o *options) target(address string) (target string, secure bool) {
	wantsTLS := o.caPEM != nil || o.certPEM != nil
	whole := strings.TrimSpace(address)
	switch {
	case strings.Contains(whole, "://"):
	case wantsTLS:
		whole = "https://" + whole
	default:
		whole = "http://" + whole
	}
	parsed, err := url.Parse(whole)
	if err != nil || parsed.Hostname() == "" || strings.Trim(parsed.Path, "/") != "" {
		o.fail("address %q: want http://host:port, https://host:port or host:port", address)
		return "", false
	}
	port := parsed.Port()
	switch parsed.Scheme {
	case "https":
		secure, port = true, orElse(port, "443")
	case "http":
		port = orElse(port, "80")
		if wantsTLS {
			o.fail("address %q: certificates need an https:// address", address)
		}
	default:
		o.fail("address %q: neither http:// nor https://", address)
	}
	return "dns:///" + net.JoinHostPort(parsed.Hostname(), port), secure
}

func (o *options) security(secure bool) credentials.TransportCredentials {
	if !secure {
		return insecure.NewCredentials()
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if o.caPEM != nil {
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(o.caPEM) {
			o.fail("TLS: the CA certificate is not PEM")
		}
	}
	if o.certPEM != nil {
		identity, err := tls.X509KeyPair(o.certPEM, o.keyPEM)
		if err != nil {
			o.fail("TLS: the client certificate: %v", err)
		}
		config.Certificates = []tls.Certificate{identity}
	}
	return credentials.NewTLS(config)
}

func orElse(value, fallback string) string {
	if value == "" {
		return fallback
	}
	return value
}
