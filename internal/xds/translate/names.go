package translate

import "strconv"

// The ports of an Envoy with traffic interception.
// Source: App Mesh User Guide, "Getting started": APPMESH_ENVOY_INGRESS_PORT and
// APPMESH_ENVOY_EGRESS_PORT.
const (
	ingressPort = 15000
	egressPort  = 15001
)

// Names of statistics.
const (
	ingressStats = "ingress"
	egressStats  = "egress"
)

// sdsCluster is the cluster that the bootstrap defines where secrets by name are
// wanted: the Unix socket of an agent such as SPIRE's.
// Source: App Mesh User Guide, "Envoy configuration variables", APPMESH_SDS_SOCKET_PATH.
const sdsCluster = "static_cluster_sds_unix_socket"

func number(port int64) string { return strconv.FormatInt(port, 10) }

func ingressListenerName(port int64) string { return "lds_ingress_0.0.0.0_" + number(port) }
func egressListenerName(port int64) string  { return "lds_egress_0.0.0.0_" + number(port) }
func listenerStats(port int64) string       { return "0.0.0.0_" + number(port) }
func ingressRoutesName(port int64) string   { return "rds_ingress_http_" + number(port) }
func egressRoutesName(port int64) string    { return "rds_egress_http_" + number(port) }

// appName is the cluster of the application beside a virtual node's Envoy.
func appName(mesh, node string, l listener) string {
	return "cds_ingress_" + mesh + "_" + node + "_" + l.protocol + "_" + number(l.port)
}

// targetName is the cluster of a virtual node for who calls it.
func targetName(mesh, node string, l listener) string {
	return "cds_egress_" + mesh + "_" + node + "_" + l.protocol + "_" + number(l.port)
}

// bypassName is the cluster of traffic that is let through: to AWS, or all.
func bypassName(mesh, what string) string { return "cds_egress_" + mesh + "_" + what }

// selfName is the cluster by which a virtual gateway hands a request to its own
// egress listener.
func selfName(mesh, gateway string, l listener, several bool) string {
	name := "cds_ingress_" + mesh + "_" + gateway + "_self_redirect_"
	if several {
		name += number(l.port) + "_"
	}
	return name + l.protocol + "_" + number(egressPort)
}

// ingressStatsName tells the listeners of an endpoint apart if there are several.
func ingressStatsName(l listener, several bool) string {
	if several {
		return ingressStats + "." + l.protocol + "." + number(l.port)
	}
	return ingressStats
}
