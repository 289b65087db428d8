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

// DefaultAddress is the default address of `switchboard serve` and `switchboard demo`.
const DefaultAddress = "http://127.0.0.1:50051"

// MaxMessageBytes is the maximum size of a received message. gRPC's default of 4 MiB is too small for
// documents and images.
const MaxMessageBytes = 64 << 20

const (
	version = "0.1.0"

	// defaultConnectTimeout is the default timeout for opening a connection.
	defaultConnectTimeout = 10 * time.Second

	// defaultKeepAlive is the default interval of keep-alive pings. Some proxies do not allow shorter intervals.
	defaultKeepAlive = time.Minute

	// keepAliveTimeout is the time without an answer to a ping after which the connection is closed.
	keepAliveTimeout = 20 * time.Second
)

// Option is an option of [Connect].
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
			o.fail("the bearer token is empty or has characters that a header must not have")
		}
		o.token = token
	}
}

// WithCACertificate trusts only the certificates in this PEM text. Implies TLS.
func WithCACertificate(pem []byte) Option {
	return func(o *options) { o.caPEM = pem }
}

// WithClientCertificate sends this client certificate (PEM, with its chain) to the server. Implies TLS.
func WithClientCertificate(pem, key []byte) Option {
	return func(o *options) { o.certPEM, o.keyPEM = pem, key }
}

// WithDeadline sets the deadline of each call, up to the end of its stream. Switchboard and Bedrock stop work
// at the deadline too. An earlier deadline of the call's context takes precedence. Without either, the task's
// own deadline applies.
func WithDeadline(deadline time.Duration) Option {
	return func(o *options) { o.deadline = deadline }
}

// WithConnectTimeout sets the timeout for opening a connection. Default: 10 seconds.
func WithConnectTimeout(timeout time.Duration) Option {
	return func(o *options) { o.connectTimeout = timeout }
}

// WithKeepAlive sets the interval of keep-alive pings during a call. Default: one minute; gRPC's minimum is
// 10 seconds.
func WithKeepAlive(interval time.Duration) Option {
	return func(o *options) { o.keepAlive = interval }
}

// WithDialOptions adds gRPC options after those that this package sets.
func WithDialOptions(dial ...grpc.DialOption) Option {
	return func(o *options) { o.dial = append(o.dial, dial...) }
}

// Connect makes a client: plain HTTP/2 for "http://host:port" and "host:port", TLS with the system's root
// certificates for "https://host:port". The first call opens the connection; a broken connection is reopened
// by the next call.
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

// target returns the address in the format of gRPC, and whether to use TLS.
func (o *options) target(address string) (target string, secure bool) {
	wantsTLS := o.caPEM != nil || o.certPEM != nil
	full := strings.TrimSpace(address)
	switch {
	case strings.Contains(full, "://"):
	case wantsTLS:
		full = "https://" + full
	default:
		full = "http://" + full
	}
	parsed, err := url.Parse(full)
	if err != nil || parsed.Hostname() == "" || strings.Trim(parsed.Path, "/") != "" {
		o.fail("address %q: use http://host:port, https://host:port or host:port", address)
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
		o.fail("address %q: must begin with http:// or https://", address)
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
