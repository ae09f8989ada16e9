package translate

import (
	"bytes"
	"fmt"
	"net/netip"
	"path"
	"slices"
	"strings"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/latchwork/latchwork/internal/model"
	wire "github.com/latchwork/latchwork/internal/wire/appmesh"
)

// chains serve a listener with TLS as it says: with it, without it, or as the caller
// likes. match is empty where the address says enough; names are for a certificate
// that is issued.
func (t *translation) chains(l listener, match *listenerv3.FilterChainMatch, filter *listenerv3.Filter, names []string) []*listenerv3.FilterChain {
	filters := []*listenerv3.Filter{filter}
	if !servesTLS(*l.of) {
		return []*listenerv3.FilterChain{{FilterChainMatch: match, Filters: filters}}
	}
	socket := t.downstream(l, names)
	if value(l.of.Tls.Mode) != wire.ListenerTlsModePermissive {
		return []*listenerv3.FilterChain{{FilterChainMatch: match, Filters: filters, TransportSocket: socket}}
	}
	encrypted, plain := proto.CloneOf(match), proto.CloneOf(match)
	encrypted.TransportProtocol, plain.TransportProtocol = "tls", "raw_buffer"
	return []*listenerv3.FilterChain{
		{FilterChainMatch: encrypted, Filters: filters, TransportSocket: socket},
		{FilterChainMatch: plain, Filters: filters},
	}
}

// downstream is TLS as a listener terminates it.
func (t *translation) downstream(l listener, names []string) *corev3.TransportSocket {
	out := &tlsv3.DownstreamTlsContext{CommonTlsContext: &tlsv3.CommonTlsContext{AlpnProtocols: alpn(l)}}
	common, spec := out.CommonTlsContext, l.of.Tls
	switch c := value(spec.Certificate); {
	case c.Acm != nil:
		common.TlsCertificateSdsSecretConfigs = secretRefs(t.issued(value(c.Acm.CertificateArn), names))
	case c.File != nil:
		common.TlsCertificateSdsSecretConfigs = secretRefs(t.certificateFile(c.File))
	case c.Sds != nil:
		common.TlsCertificateSdsSecretConfigs = secretRefs(fromAgent(value(c.Sds.SecretName)))
	default:
		t.fail(fmt.Errorf("the listener of port %d has TLS without a certificate", l.port))
	}
	if v := spec.Validation; v != nil {
		out.RequireClientCertificate = wrapperspb.Bool(true)
		// What a listener may trust is a part of what a client may.
		var trust wire.TlsValidationContextTrust
		if v.Trust != nil {
			trust.File, trust.Sds = v.Trust.File, v.Trust.Sds
		}
		validate(common, t.trusted(trust), alternativeNames(v.SubjectAlternativeNames))
	}
	return &corev3.TransportSocket{
		Name:       "envoy.transport_sockets.tls",
		ConfigType: &corev3.TransportSocket_TypedConfig{TypedConfig: t.pack(out)},
	}
}

// upstream is TLS as a client of a virtual node's listener speaks it; nil if it
// does not.
//
//   - A policy that is enforced, as it is unless it says otherwise, is for a listener
//     without TLS too: nothing gets through then.
//   - One that is not enforced does without TLS where the listener does.
//   - Without a policy the client does as the listener. Who has a certificate of
//     AWS Certificate Manager is checked, others are not.
//
// Source: App Mesh User Guide, "Transport Layer Security (TLS)".
func (t *translation) upstream(n *model.VirtualNode, l listener, policy *wire.ClientPolicyTls) *corev3.TransportSocket {
	if policy != nil && len(policy.Ports) > 0 && !slices.Contains(policy.Ports, l.port) {
		policy = nil
	}
	served := servesTLS(*l.of)
	if !served && (policy == nil || !valueOr(policy.Enforce, true)) {
		return nil
	}
	out := &tlsv3.UpstreamTlsContext{CommonTlsContext: &tlsv3.CommonTlsContext{AlpnProtocols: alpn(l)}}
	common, name := out.CommonTlsContext, discoveryName(n)
	if _, err := netip.ParseAddr(name); err != nil {
		out.Sni = name
	}
	if policy != nil {
		validation := value(policy.Validation)
		names := alternativeNames(validation.SubjectAlternativeNames)
		if names == nil && name != "" {
			names = []string{name}
		}
		validate(common, t.trusted(value(validation.Trust)), names)
		switch c := value(policy.Certificate); {
		case c.File != nil:
			common.TlsCertificateSdsSecretConfigs = secretRefs(t.certificateFile(c.File))
		case c.Sds != nil:
			common.TlsCertificateSdsSecretConfigs = secretRefs(fromAgent(value(c.Sds.SecretName)))
		}
	} else if c := value(l.of.Tls.Certificate).Acm; c != nil {
		arn := value(c.CertificateArn)
		validate(common, t.authorities(arn+"/authority", []string{arn}), []string{name})
	}
	return &corev3.TransportSocket{
		Name:       "envoy.transport_sockets.tls",
		ConfigType: &corev3.TransportSocket_TypedConfig{TypedConfig: t.pack(out)},
	}
}

// alpn is what is negotiated for a listener.
func alpn(l listener) []string {
	switch {
	case l.plain():
		return nil
	case l.http2():
		return []string{"h2"}
	default:
		return []string{"http/1.1"}
	}
}

func alternativeNames(s *wire.SubjectAlternativeNames) []string { return value(value(s).Match).Exact }

// validate wants a certificate that an authority of a secret signed, for one of some
// names; any name if there are none.
func validate(c *tlsv3.CommonTlsContext, authority *tlsv3.SdsSecretConfig, names []string) {
	if len(names) == 0 {
		c.ValidationContextType = &tlsv3.CommonTlsContext_ValidationContextSdsSecretConfig{ValidationContextSdsSecretConfig: authority}
		return
	}
	context := &tlsv3.CertificateValidationContext{}
	for _, name := range names {
		for _, kind := range sanTypes(name) {
			context.MatchTypedSubjectAltNames = append(context.MatchTypedSubjectAltNames, &tlsv3.SubjectAltNameMatcher{
				SanType: kind, Matcher: exactly(name),
			})
		}
	}
	c.ValidationContextType = &tlsv3.CommonTlsContext_CombinedValidationContext{
		CombinedValidationContext: &tlsv3.CommonTlsContext_CombinedCertificateValidationContext{
			DefaultValidationContext: context, ValidationContextSdsSecretConfig: authority,
		},
	}
}

// sanTypes are the kinds of name that a name may be. Certificates often have an
// address as a DNS name.
func sanTypes(name string) []tlsv3.SubjectAltNameMatcher_SanType {
	if _, err := netip.ParseAddr(name); err == nil {
		return []tlsv3.SubjectAltNameMatcher_SanType{tlsv3.SubjectAltNameMatcher_IP_ADDRESS, tlsv3.SubjectAltNameMatcher_DNS}
	}
	if strings.Contains(name, ":") {
		return []tlsv3.SubjectAltNameMatcher_SanType{tlsv3.SubjectAltNameMatcher_URI}
	}
	return []tlsv3.SubjectAltNameMatcher_SanType{tlsv3.SubjectAltNameMatcher_DNS}
}

// trusted is the secret of whom a policy trusts.
func (t *translation) trusted(trust wire.TlsValidationContextTrust) *tlsv3.SdsSecretConfig {
	switch {
	case trust.Acm != nil:
		arns := trust.Acm.CertificateAuthorityArns
		return t.authorities(strings.Join(arns, ","), arns)
	case trust.File != nil:
		file := value(trust.File.CertificateChain)
		return t.secret(&tlsv3.Secret{
			Name: "validation_context:" + file,
			Type: &tlsv3.Secret_ValidationContext{ValidationContext: &tlsv3.CertificateValidationContext{
				TrustedCa: inFile(file), WatchedDirectory: directory(file),
			}},
		})
	case trust.Sds != nil:
		return fromAgent(value(trust.Sds.SecretName))
	default:
		t.fail(fmt.Errorf("a TLS validation trusts nobody"))
		return nil
	}
}

// authorities is a secret of what certificates of private authorities are checked with.
func (t *translation) authorities(name string, arns []string) *tlsv3.SdsSecretConfig {
	var all [][]byte
	for _, arn := range arns {
		pem, err := t.issuer.CA(arn)
		if err != nil {
			t.fail(fmt.Errorf("the certificate authority of %s: %w", arn, err))
		}
		all = append(all, bytes.TrimSpace(pem), []byte("\n"))
	}
	return t.secret(&tlsv3.Secret{
		Name: name,
		Type: &tlsv3.Secret_ValidationContext{ValidationContext: &tlsv3.CertificateValidationContext{
			TrustedCa: inline(bytes.Join(all, nil)),
		}},
	})
}

// issued is a secret of a certificate that AWS Certificate Manager had.
func (t *translation) issued(arn string, names []string) *tlsv3.SdsSecretConfig {
	chain, key, err := t.issuer.Issue(arn, names)
	if err != nil {
		t.fail(fmt.Errorf("the certificate %s: %w", arn, err))
	}
	return t.secret(&tlsv3.Secret{
		Name: arn,
		Type: &tlsv3.Secret_TlsCertificate{TlsCertificate: &tlsv3.TlsCertificate{
			CertificateChain: inline(chain), PrivateKey: inline(key),
		}},
	})
}

// certificateFile is a secret of files beside Envoy. Written into the listener they
// would never be read again.
func (t *translation) certificateFile(f *wire.ListenerTlsFileCertificate) *tlsv3.SdsSecretConfig {
	chain, key := value(f.CertificateChain), value(f.PrivateKey)
	return t.secret(&tlsv3.Secret{
		Name: "tls_certificate:" + chain + "," + key,
		Type: &tlsv3.Secret_TlsCertificate{TlsCertificate: &tlsv3.TlsCertificate{
			CertificateChain: inFile(chain), PrivateKey: inFile(key), WatchedDirectory: directory(chain),
		}},
	})
}

// secret is delivered with all other resources.
func (t *translation) secret(s *tlsv3.Secret) *tlsv3.SdsSecretConfig {
	t.secrets[s.Name] = s
	return &tlsv3.SdsSecretConfig{Name: s.Name, SdsConfig: overADS()}
}

// fromAgent is a secret that an agent beside Envoy delivers.
func fromAgent(name string) *tlsv3.SdsSecretConfig {
	return &tlsv3.SdsSecretConfig{Name: name, SdsConfig: &corev3.ConfigSource{
		ResourceApiVersion: corev3.ApiVersion_V3,
		ConfigSourceSpecifier: &corev3.ConfigSource_ApiConfigSource{ApiConfigSource: &corev3.ApiConfigSource{
			ApiType: corev3.ApiConfigSource_GRPC, TransportApiVersion: corev3.ApiVersion_V3,
			GrpcServices: []*corev3.GrpcService{{TargetSpecifier: &corev3.GrpcService_EnvoyGrpc_{
				EnvoyGrpc: &corev3.GrpcService_EnvoyGrpc{ClusterName: sdsCluster},
			}}},
		}},
	}}
}

func secretRefs(s *tlsv3.SdsSecretConfig) []*tlsv3.SdsSecretConfig {
	return []*tlsv3.SdsSecretConfig{s}
}

func inline(b []byte) *corev3.DataSource {
	return &corev3.DataSource{Specifier: &corev3.DataSource_InlineBytes{InlineBytes: b}}
}

func inFile(name string) *corev3.DataSource {
	return &corev3.DataSource{Specifier: &corev3.DataSource_Filename{Filename: name}}
}

func directory(file string) *corev3.WatchedDirectory {
	return &corev3.WatchedDirectory{Path: path.Dir(file)}
}
