package cli

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"sigs.k8s.io/yaml"

	"github.com/latchwork/latchwork/internal/model"
	"github.com/latchwork/latchwork/internal/server"
)

type envoyCommands struct {
	Bootstrap bootstrapCommand `cmd:"" help:"Print the configuration that an Envoy starts with: latchwork envoy bootstrap --resource ARN > envoy.yaml."`
}

// emsFlags say which mesh endpoint an Envoy stands for and where its management
// service is. Their environment variables are those of AWS's own agent.
// Source: App Mesh User Guide, "Envoy image configuration variables".
type emsFlags struct {
	Resource  string `required:"" env:"APPMESH_RESOURCE_ARN,APPMESH_RESOURCE_NAME,APPMESH_VIRTUAL_NODE_NAME" help:"ARN of the virtual node or virtual gateway that the Envoy stands for." placeholder:"ARN"`
	EMS       string `name:"ems" env:"APPMESH_XDS_ENDPOINT" help:"Address of the Envoy management service. That of the data directory's server by default." placeholder:"HOST:PORT"`
	CAFile    string `name:"ca-file" type:"path" help:"Certificate of the authority that vouches for it, as latchwork ca prints it. The data directory's by default." placeholder:"FILE"`
	Authority string `help:"Name of the Envoy management service, in its certificate and in the signature. The first one of the data directory's server by default, or AWS's own." placeholder:"NAME"`
	Region    string `env:"AWS_REGION" help:"Region to sign for, where the resource is not a whole ARN."`
	DataDir   string `default:"./latchwork-data" help:"Data directory of the server; not needed with --ems and --ca-file."`
}

// ems is an Envoy management service as its clients must know it.
type ems struct {
	host   string
	port   int
	ca     string
	name   string
	region string
}

// find completes the flags from the data directory.
func (f *emsFlags) find() (*ems, error) {
	out := &ems{ca: f.CAFile, name: f.Authority}
	var err error
	if out.region, err = endpointRegion(f.Resource); err != nil {
		return nil, err
	}
	if out.region == "" {
		out.region = f.Region
	}
	address := f.EMS
	if address == "" || out.ca == "" {
		info, err := server.ReadInfo(f.DataDir)
		if err != nil {
			return nil, fmt.Errorf("%w; or give --ems and --ca-file", err)
		}
		if address == "" {
			if address = info.EMS; address == "" {
				return nil, fmt.Errorf("the server on %s has no Envoy management service: start it with --ems-addr 127.0.0.1:4443", f.DataDir)
			}
			if out.name == "" && len(info.EMSNames) > 0 {
				out.name = info.EMSNames[0]
			}
		}
		if out.ca == "" {
			out.ca = info.CA
		}
		if out.region == "" {
			out.region = info.Region
		}
	}
	if out.region == "" {
		return nil, &exitError{ExitUsage, fmt.Sprintf("which region is %q in? Give its whole ARN, or --region", f.Resource)}
	}
	if out.name == "" {
		out.name = "appmesh-envoy-management." + out.region + ".amazonaws.com"
	}
	host, port, err := net.SplitHostPort(address)
	if err == nil {
		out.port, err = strconv.Atoi(port)
	}
	if err != nil || host == "" || out.port < 1 || out.port > 65535 {
		return nil, &exitError{ExitUsage, fmt.Sprintf("--ems: %q is not HOST:PORT, for example 127.0.0.1:4443", address)}
	}
	out.host = host
	return out, nil
}

// address of the service.
func (s *ems) address() string { return net.JoinHostPort(s.host, strconv.Itoa(s.port)) }

// endpointRegion checks what names a mesh endpoint: its ARN, or the end of one, which
// has no region.
func endpointRegion(resource string) (string, error) {
	if strings.HasPrefix(resource, "mesh/") {
		if _, ok := model.ParseMeshEndpoint("arn:aws:" + model.MeshService + ":-:-:" + resource); ok {
			return "", nil
		}
	}
	e, ok := model.ParseMeshEndpoint(resource)
	if !ok {
		return "", &exitError{ExitUsage, fmt.Sprintf("%q is not the ARN of a virtual node or a virtual gateway, such as arn:aws:appmesh:us-east-1:123456789012:mesh/app1/virtualNode/serviceBv1", resource)}
	}
	return e.Region, nil
}

type bootstrapCommand struct {
	emsFlags
	InlineCA        bool       `name:"inline-ca" help:"Write the certificate of --ca-file into the configuration, in place of the file's name."`
	Via             string     `enum:"agent,filter,legacy" default:"agent" help:"Who signs: agent (latchwork agent, for any Envoy), filter (Envoy itself, 1.35 and later) or legacy (Envoy itself, up to 1.34)."`
	Envoy           string     `help:"Version of Envoy. 1.40 by default, and 1.34 with --via legacy." placeholder:"VERSION"`
	Cluster         string     `env:"APPMESH_RESOURCE_CLUSTER,APPMESH_VIRTUAL_NODE_CLUSTER" help:"Name of the Envoy's cluster in its node. The resource by default." placeholder:"NAME"`
	API             string     `name:"api" enum:"GRPC,DELTA_GRPC" default:"GRPC" help:"GRPC, or DELTA_GRPC for the incremental protocol."`
	Admin           string     `default:"127.0.0.1:9901" help:"Address of Envoy's administration interface."`
	Socket          string     `env:"APPNET_RELAY_LISTENER_UDS_PATH" default:"./latchwork-xds.sock" type:"path" help:"Socket of latchwork agent."`
	Credentials     string     `enum:"environment,file,chain" default:"environment" help:"Where the filter gets credentials: environment (AWS_ACCESS_KEY_ID and the like), file (--credentials-file) or chain (all of Envoy's own: a task's, an instance's, a web identity's)."`
	CredentialsFile string     `type:"path" help:"The file, in the form of ~/.aws/credentials. It must be there before Envoy starts; replace it by renaming another over it." placeholder:"FILE"`
	Interception    string     `enum:"transparent,explicit" default:"transparent" help:"transparent: traffic is redirected to the Envoy's ports 15000 and 15001. explicit: the Envoy listens on the ports of its listeners, so that several run on one machine."`
	Bind            netip.Addr `help:"With --interception explicit: IP address that the Envoy listens on." placeholder:"IP"`
	App             netip.Addr `help:"With --interception explicit: IP address of the application." placeholder:"IP"`
}

func (c *bootstrapCommand) Run(e *env) error {
	boot, err := c.bootstrap()
	if err != nil {
		return err
	}
	text, err := yaml.Marshal(boot)
	if err != nil {
		return err
	}
	if c.Via == "filter" && c.Credentials == "chain" {
		fmt.Fprintln(e.stderr, "Envoy's first streams will not be signed, and be refused: it asks for credentials only after a second without configuration. latchwork agent has no such trap.")
	}
	if c.Via == "filter" && c.Credentials == "file" {
		fmt.Fprintln(e.stderr, "Start Envoy without HOME in its environment: while the file is not there, it signs with $HOME/.aws/credentials.")
	}
	_, err = e.stdout.Write(text)
	return err
}

// object and list are YAML, by Envoy's own names.
type (
	object = map[string]any
	list   = []any
)

// Types of Envoy's extensions.
const (
	typeHTTPOptions   = "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
	typeUpstreamTLS   = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext"
	typeSigning       = "type.googleapis.com/envoy.extensions.filters.http.aws_request_signing.v3.AwsRequestSigning"
	typeUpstreamCodec = "type.googleapis.com/envoy.extensions.filters.http.upstream_codec.v3.UpstreamCodec"
	typeIAM           = "type.googleapis.com/envoy.config.grpc_credential.v3.AwsIamConfig"
)

// pluginIAM is the plugin of google_grpc that signed, up to Envoy 1.34.
const pluginIAM = "envoy.grpc_credentials.aws_iam"

// Minor versions of Envoy 1 in which signing changed.
// Source: Envoy's version history; aws_iam was removed in 1.35, and
// match_included_headers came with 1.37.
const (
	lastWithPlugin   = 34
	firstWithInclude = 37
)

// minor reads a version of Envoy 1, such as 1.40 or 1.40.0.
func minor(version string) (int, error) {
	first, rest, _ := strings.Cut(version, ".")
	second, _, _ := strings.Cut(rest, ".")
	n, err := strconv.Atoi(second)
	if first != "1" || err != nil {
		return 0, &exitError{ExitUsage, fmt.Sprintf("--envoy: %q is not a version of Envoy, such as 1.40", version)}
	}
	return n, nil
}

// bootstrap is the configuration.
func (c *bootstrapCommand) bootstrap() (object, error) {
	version, err := c.check()
	if err != nil {
		return nil, err
	}
	admin, err := socketAddress("--admin", c.Admin)
	if err != nil {
		return nil, err
	}
	wait := "0s" // for ever
	ads := object{"api_type": c.API, "transport_api_version": "V3", "set_node_on_first_message_only": true}
	boot := object{"node": c.node(), "admin": object{"address": admin}}
	switch c.Via {
	case "agent":
		if _, err := endpointRegion(c.Resource); err != nil {
			return nil, err
		}
		ads["grpc_services"] = list{object{"envoy_grpc": object{"cluster_name": agentCluster}}}
		boot["static_resources"] = object{"clusters": list{c.agentCluster()}}
	case "filter":
		to, err := c.find()
		if err != nil {
			return nil, err
		}
		if c.Credentials == "chain" {
			// What is fetched over the network is fetched when this is over, for ever never.
			wait = "1s"
		}
		ads["grpc_services"] = list{object{"envoy_grpc": object{"cluster_name": emsCluster, "authority": to.name}}}
		ca, err := c.trusted(to)
		if err != nil {
			return nil, err
		}
		boot["static_resources"] = object{"clusters": list{c.emsCluster(to, ca, version)}}
	default:
		to, err := c.find()
		if err != nil {
			return nil, err
		}
		ca, err := c.trusted(to)
		if err != nil {
			return nil, err
		}
		ads["grpc_services"] = list{object{"google_grpc": googleGRPC(to, ca)}}
	}
	from := object{"ads": object{}, "resource_api_version": "V3", "initial_fetch_timeout": wait}
	boot["dynamic_resources"] = object{"ads_config": ads, "lds_config": from, "cds_config": from}
	return boot, nil
}

// check refuses what does not go together; it gives the version of Envoy.
func (c *bootstrapCommand) check() (int, error) {
	wrong := func(format string, args ...any) (int, error) {
		return 0, &exitError{ExitUsage, fmt.Sprintf(format, args...)}
	}
	text := c.Envoy
	switch {
	case text != "":
	case c.Via == "legacy":
		text = "1.34"
	default:
		text = "1.40"
	}
	version, err := minor(text)
	switch {
	case err != nil:
		return 0, err
	case c.Via == "filter" && version <= lastWithPlugin:
		return wrong("--via filter is for Envoy 1.35 and later: use --via legacy or --via agent with %s", text)
	case c.Via == "legacy" && version > lastWithPlugin:
		return wrong("Envoy %s has no %s any more: use --via agent or --via filter", text, pluginIAM)
	case c.Via == "legacy" && c.Authority != "":
		return wrong("--authority: with --via legacy the name of the Envoy management service is the host of --ems")
	case c.Via == "filter" && (c.Credentials == "file") != (c.CredentialsFile != ""):
		return wrong("--credentials file and --credentials-file go together")
	case c.Via != "filter" && (c.Credentials != "environment" || c.CredentialsFile != ""):
		return wrong("--credentials and --credentials-file are for --via filter: the agent and the plugin find credentials by themselves")
	case c.InlineCA && c.Via == "agent":
		return wrong("--inline-ca is for --via filter and legacy: the agent is given --ca-file itself")
	case c.Interception == "transparent" && (c.Bind.IsValid() || c.App.IsValid()):
		return wrong("--bind and --app are for --interception explicit")
	}
	return version, nil
}

func (c *bootstrapCommand) node() object {
	cluster := c.Cluster
	if cluster == "" {
		cluster = c.Resource
	}
	node := object{"id": c.Resource, "cluster": cluster}
	if c.Interception == "explicit" {
		meta := object{"interception": c.Interception}
		if c.Bind.IsValid() {
			meta["bind_address"] = c.Bind.String()
		}
		if c.App.IsValid() {
			meta["app_address"] = c.App.String()
		}
		node["metadata"] = object{"latchwork": meta}
	}
	return node
}

func socketAddress(flag, address string) (object, error) {
	host, port, err := net.SplitHostPort(address)
	number, bad := strconv.Atoi(port)
	if err != nil || bad != nil {
		return nil, &exitError{ExitUsage, fmt.Sprintf("%s: %q is not HOST:PORT, for example 127.0.0.1:9901", flag, address)}
	}
	return object{"socket_address": object{"address": host, "port_value": number}}, nil
}

// Names of clusters; Envoy's log has them.
const (
	agentCluster = "appmesh_relay"
	emsCluster   = "appmesh_ems"
)

func assignment(cluster string, address object) object {
	return object{"cluster_name": cluster, "endpoints": list{object{"lb_endpoints": list{object{"endpoint": object{"address": address}}}}}}
}

// agentCluster is the socket of latchwork agent.
func (c *bootstrapCommand) agentCluster() object {
	return object{
		"name": agentCluster, "type": "STATIC", "connect_timeout": "1s",
		"load_assignment": assignment(agentCluster, object{"pipe": object{"path": c.Socket}}),
		"typed_extension_protocol_options": object{"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": object{
			"@type": typeHTTPOptions, "explicit_http_config": object{"http2_protocol_options": object{}},
		}},
	}
}

// trusted is the certificate authority as Envoy is told of it.
func (c *bootstrapCommand) trusted(to *ems) (object, error) {
	if !c.InlineCA {
		return object{"filename": to.ca}, nil
	}
	if _, err := readPool(to.ca); err != nil {
		return nil, err
	}
	text, err := os.ReadFile(to.ca)
	return object{"inline_string": string(text)}, err
}

// emsCluster is the Envoy management service, with a filter that signs.
func (c *bootstrapCommand) emsCluster(to *ems, ca object, version int) object {
	kind := "STRICT_DNS"
	if _, err := netip.ParseAddr(to.host); err == nil {
		kind = "STATIC"
	}
	return object{
		"name": emsCluster, "type": kind, "connect_timeout": "5s",
		"load_assignment": assignment(emsCluster, object{"socket_address": object{"address": to.host, "port_value": to.port}}),
		"transport_socket": object{"name": "envoy.transport_sockets.tls", "typed_config": object{
			"@type": typeUpstreamTLS, "sni": to.name,
			"common_tls_context": object{
				// Envoy as a client offers no more than TLS 1.2 if it is not told to.
				"tls_params": object{"tls_maximum_protocol_version": "TLSv1_3"},
				"validation_context": object{
					"trusted_ca":                    ca,
					"match_typed_subject_alt_names": list{object{"san_type": sanType(to.name), "matcher": object{"exact": to.name}}},
				},
			},
		}},
		"typed_extension_protocol_options": object{"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": object{
			"@type":                typeHTTPOptions,
			"explicit_http_config": object{"http2_protocol_options": object{"connection_keepalive": object{"interval": "10s", "timeout": "20s"}}},
			"http_filters": list{
				object{"name": "envoy.filters.http.aws_request_signing", "typed_config": c.signing(to, version)},
				object{"name": "envoy.filters.http.upstream_codec", "typed_config": object{"@type": typeUpstreamCodec}},
			},
		}},
	}
}

func sanType(name string) string {
	if _, err := netip.ParseAddr(name); err == nil {
		return "IP_ADDRESS"
	}
	return "DNS"
}

// signing is the configuration of the filter.
func (c *bootstrapCommand) signing(to *ems, version int) object {
	out := object{
		"@type": typeSigning, "service_name": model.MeshService, "region": to.region,
		// Else it waits for the end of the stream's body, which does not come.
		"use_unsigned_payload": true,
	}
	if version >= firstWithInclude {
		out["match_included_headers"] = list{object{"prefix": "x-amz-"}}
	} else {
		out["match_excluded_headers"] = list{object{"exact": "te"}}
	}
	// The chain of Envoy's own is what it takes when nothing is said.
	switch c.Credentials {
	case "environment":
		out["credential_provider"] = object{"custom_credential_provider_chain": true, "environment_credential_provider": object{}}
	case "file":
		out["credential_provider"] = object{
			"custom_credential_provider_chain": true,
			"credentials_file_provider": object{"credentials_data_source": object{
				"filename": c.CredentialsFile,
				// Without it a file that was replaced is not read again.
				"watched_directory": object{"path": filepath.Dir(c.CredentialsFile)},
			}},
		}
	}
	return out
}

// googleGRPC is the client of Envoy up to 1.34, with the plugin that signs. The
// arguments are those of AWS's own configuration.
// Source: github.com/aws/amazon-ecs-service-connect-agent, agent/envoy_bootstrap.
func googleGRPC(to *ems, ca object) object {
	return object{
		"target_uri": to.address(), "stat_prefix": "ads",
		"channel_credentials":      object{"ssl_credentials": object{"root_certs": ca}},
		"credentials_factory_name": pluginIAM,
		"call_credentials": list{object{"from_plugin": object{"name": pluginIAM, "typed_config": object{
			"@type": typeIAM, "service_name": model.MeshService, "region": to.region,
		}}}},
		"channel_args": object{"args": object{
			"grpc.http2.max_pings_without_data": object{"int_value": 0},
			"grpc.keepalive_time_ms":            object{"int_value": 10000},
			"grpc.keepalive_timeout_ms":         object{"int_value": 20000},
			"grpc.initial_reconnect_backoff_ms": object{"int_value": 10000},
			"grpc.max_connection_age_ms":        object{"int_value": 2400000},
			"grpc.max_connection_age_grace_ms":  object{"int_value": 5000},
		}},
	}
}
