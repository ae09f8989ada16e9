package cloudmap

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/latchwork/latchwork/internal/awsapi"
)

const custom = `,"HealthCheckCustomConfig":{}`

func TestNamespaces(t *testing.T) {
	w := newWorld(t)
	made := w.do("CreateHttpNamespace", `{"Name":"shop/x","Description":"d","CreatorRequestId":"once","Tags":[{"Key":"team","Value":"a"}]}`)
	id := w.finished(made, "CREATE_NAMESPACE", "NAMESPACE")
	if !strings.HasPrefix(id, "ns-") || len(id) != len("ns-a3ccy2e7e3a7rile") {
		t.Errorf("the id is %q", id)
	}
	got := w.do("GetNamespace", `{"Id":%q}`, id)["Namespace"].(object)
	want := object{
		"Arn": w.arn("namespace/" + id), "Id": id, "Name": "shop/x", "Type": "HTTP", "Description": "d", "CreatorRequestId": "once",
		"Properties":    object{"HttpProperties": object{"HttpName": "shop/x"}, "DnsProperties": object{}},
		"ResourceOwner": w.account, "ServiceCount": 0.0, "CreateDate": got["CreateDate"],
	}
	if diff := cmp.Diff(want, got); diff != "" || got["CreateDate"].(float64) < 1.7e9 {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if again := w.do("GetNamespace", `{"Id":%q}`, want["Arn"])["Namespace"]; !cmp.Equal(again, any(got)) {
		t.Errorf("by ARN: %v", again)
	}

	// What was not known to have been answered is made again.
	if again := w.finished(w.do("CreateHttpNamespace", `{"Name":"shop/x","CreatorRequestId":"once"}`), "CREATE_NAMESPACE", "NAMESPACE"); again != id {
		t.Errorf("repeated: %s is not %s", again, id)
	}
	e := w.refuse("NamespaceAlreadyExists", "already exists", "CreateHttpNamespace", `{"Name":"shop/x","CreatorRequestId":"twice"}`)
	if e["NamespaceId"] != id || e["CreatorRequestId"] != "once" {
		t.Errorf("%v", e)
	}
	w.refuse("NamespaceAlreadyExists", "already exists", "CreatePrivateDnsNamespace", `{"Name":"shop/x","Vpc":"vpc-1","CreatorRequestId":"once"}`)

	w.finished(w.do("CreatePrivateDnsNamespace", `{"Name":"shop.local","Vpc":"vpc-1","Properties":{"DnsProperties":{"SOA":{"TTL":15}}}}`), "CREATE_NAMESPACE", "NAMESPACE")
	w.finished(w.do("CreatePublicDnsNamespace", `{"Name":"shop.example.com","Properties":{"DnsProperties":{"SOA":{"TTL":60}}}}`), "CREATE_NAMESPACE", "NAMESPACE")
	w.service(id, "cart", "")
	for _, test := range []struct{ filters, want string }{
		{`[]`, "shop/x HTTP 1, shop.local DNS_PRIVATE 0, shop.example.com DNS_PUBLIC 0"},
		{`[{"Name":"TYPE","Values":["DNS_PUBLIC"]}]`, "shop.example.com DNS_PUBLIC 0"},
		{`[{"Name":"TYPE","Values":["DNS_"],"Condition":"BEGINS_WITH"}]`, "shop.local DNS_PRIVATE 0, shop.example.com DNS_PUBLIC 0"},
		{`[{"Name":"NAME","Values":["shop.local"],"Condition":"EQ"}]`, "shop.local DNS_PRIVATE 0"},
		{`[{"Name":"HTTP_NAME","Values":["shop."],"Condition":"BEGINS_WITH"},{"Name":"TYPE","Values":["DNS_PRIVATE"]}]`, "shop.local DNS_PRIVATE 0"},
		{`[{"Name":"RESOURCE_OWNER","Values":["SELF"]},{"Name":"NAME","Values":["shop/x"]}]`, "shop/x HTTP 1"},
		{`[{"Name":"RESOURCE_OWNER","Values":["OTHER_ACCOUNTS"]}]`, ""},
	} {
		var found []string
		for _, n := range w.do("ListNamespaces", `{"Filters":%s}`, test.filters)["Namespaces"].([]any) {
			found = append(found, fmt.Sprint(n.(object)["Name"], " ", n.(object)["Type"], " ", n.(object)["ServiceCount"]))
		}
		if got := strings.Join(found, ", "); got != test.want {
			t.Errorf("%s: %s, want %s", test.filters, got, test.want)
		}
	}
	for _, filters := range []string{
		`[{"Name":"TYPE","Values":["HTTP","DNS_PUBLIC"]}]`, `[{"Name":"TYPE","Values":["HTTP"],"Condition":"IN"}]`, `[{"Name":"NAME","Values":[]}]`,
		`[{"Name":"RESOURCE_OWNER","Values":["ME"]}]`, `[{"Name":"RESOURCE_OWNER","Values":["SELF"],"Condition":"BEGINS_WITH"}]`, `[{"Name":"COLOR","Values":["a"]}]`,
	} {
		w.refuse("InvalidInput", "", "ListNamespaces", `{"Filters":%s}`, filters)
	}
	page := w.do("ListNamespaces", `{"MaxResults":2}`)
	rest := w.do("ListNamespaces", `{"MaxResults":2,"NextToken":%q}`, page["NextToken"])
	if len(page["Namespaces"].([]any)) != 2 || len(rest["Namespaces"].([]any)) != 1 || rest["NextToken"] != nil {
		t.Errorf("%v\n%v", page, rest)
	}

	w.refuse("ResourceInUse", "Namespace has associated services; delete the services before deleting the namespace", "DeleteNamespace", `{"Id":%q}`, id)
	w.do("DeleteService", `{"Id":%q}`, w.do("ListServices", `{}`)["Services"].([]any)[0].(object)["Id"])
	if gone := w.finished(w.do("DeleteNamespace", `{"Id":%q}`, id), "DELETE_NAMESPACE", "NAMESPACE"); gone != id {
		t.Errorf("deleted %s", gone)
	}
	for _, operation := range []string{"GetNamespace", "DeleteNamespace"} {
		w.refuse("NamespaceNotFound", id, operation, `{"Id":%q}`, id)
	}
	if w.waited < 7 {
		t.Errorf("%d writes were waited for", w.waited)
	}
}

// TestNames: which names namespaces and services can have.
// Source: patterns in the Cloud Map API Reference.
func TestNames(t *testing.T) {
	w := newWorld(t)
	for _, name := range []string{"", "arn:aws:x", "with space", "ä"} {
		w.refuse("InvalidInput", "", "CreateHttpNamespace", `{"Name":%q}`, name)
	}
	w.refuse("InvalidInput", "", "CreatePublicDnsNamespace", `{"Name":"local"}`)
	id := w.namespace("n")
	for _, name := range []string{"", "-a", "a b", "a/b", strings.Repeat("a.", 64) + "a"} {
		w.refuse("InvalidInput", "", "CreateService", `{"NamespaceId":%q,"Name":%q}`, id, name)
	}
	w.service(id, "_http._tcp", "")
}

func TestServices(t *testing.T) {
	w := newWorld(t)
	http := w.namespace("http")
	dns := w.finished(w.do("CreatePrivateDnsNamespace", `{"Name":"local","Vpc":"vpc-1"}`), "CREATE_NAMESPACE", "NAMESPACE")
	a := `,"DnsConfig":{"DnsRecords":[{"Type":"A","TTL":60}]}`

	made := w.do("CreateService", `{"NamespaceId":%q,"Name":"cart","Description":"d","CreatorRequestId":"once"%s%s}`, dns, a, `,"HealthCheckCustomConfig":{"FailureThreshold":5}`)["Service"].(object)
	id := made["Id"].(string)
	record := []any{object{"Type": "A", "TTL": 60.0}}
	want := object{
		"Arn": w.arn("service/" + id), "Id": id, "Name": "cart", "NamespaceId": dns, "Description": "d", "CreatorRequestId": "once", "Type": "DNS_HTTP",
		"DnsConfig":               object{"NamespaceId": dns, "RoutingPolicy": "MULTIVALUE", "DnsRecords": record},
		"HealthCheckCustomConfig": object{"FailureThreshold": 1.0}, "InstanceCount": 0.0, "ResourceOwner": w.account, "CreatedByAccount": w.account,
		"CreateDate": made["CreateDate"],
	}
	if diff := cmp.Diff(want, made); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for _, name := range []any{id, made["Arn"]} {
		if got := w.do("GetService", `{"Id":%q}`, name)["Service"]; !cmp.Equal(got, any(made)) {
			t.Errorf("%v", got)
		}
	}
	if again := w.do("CreateService", `{"NamespaceId":%q,"Name":"cart","CreatorRequestId":"once"}`, dns)["Service"]; !cmp.Equal(again, any(made)) {
		t.Errorf("repeated: %v", again)
	}
	e := w.refuse("ServiceAlreadyExists", "already exists", "CreateService", `{"NamespaceId":%q,"Name":"cart"}`, dns)
	if e["ServiceId"] != id || e["ServiceArn"] != made["Arn"] || e["CreatorRequestId"] != "once" {
		t.Errorf("%v", e)
	}
	w.refuse("ServiceAlreadyExists", "already exists", "CreateService", `{"NamespaceId":%q,"Name":"CART"%s}`, dns, a)
	w.service(http, "cart", "")
	w.service(http, "CART", custom)
	w.service(dns, "plain", `,"Type":"HTTP"`)
	w.do("CreateService", `{"Name":"old","DnsConfig":{"NamespaceId":%q,"DnsRecords":[{"Type":"SRV","TTL":0}]}}`, dns)
	w.do("CreateService", `{"Name":"both","NamespaceId":%q,"DnsConfig":{"NamespaceId":%q,"DnsRecords":[{"Type":"SRV","TTL":0}]}}`, w.arn("namespace/"+dns), dns)

	for _, test := range []struct{ code, text, body string }{
		{"InvalidInput", "NamespaceId", `{"Name":"x"}`},
		{"NamespaceNotFound", "ns-none", `{"Name":"x","NamespaceId":"ns-none"}`},
		{"InvalidInput", "different", `{"Name":"x","NamespaceId":"ns-none","DnsConfig":{"NamespaceId":"ns-other","DnsRecords":[{"Type":"A","TTL":1}]}}`},
		{"InvalidInput", "different", `{"Name":"x","NamespaceId":"$DNS","DnsConfig":{"NamespaceId":"$END","DnsRecords":[{"Type":"A","TTL":1}]}}`},
		{"InvalidInput", "Route 53 health checks are not built", `{"Name":"x","NamespaceId":"$HTTP","HealthCheckConfig":{"Type":"HTTP"}}`},
		{"InvalidInput", "HTTP namespace", `{"Name":"x","NamespaceId":"$HTTP","DnsConfig":{"DnsRecords":[{"Type":"A","TTL":1}]}}`},
		{"InvalidInput", "has no DnsConfig", `{"Name":"x","NamespaceId":"$DNS","Type":"HTTP","DnsConfig":{"DnsRecords":[{"Type":"A","TTL":1}]}}`},
		{"InvalidInput", "twice", `{"Name":"x","NamespaceId":"$DNS","DnsConfig":{"DnsRecords":[{"Type":"A","TTL":1},{"Type":"A","TTL":2}]}}`},
		{"InvalidInput", "the types of DnsRecords", `{"Name":"x","NamespaceId":"$DNS","DnsConfig":{"DnsRecords":[{"Type":"A","TTL":1},{"Type":"SRV","TTL":2}]}}`},
		{"InvalidInput", "the types of DnsRecords", `{"Name":"x","NamespaceId":"$DNS","DnsConfig":{"DnsRecords":[]}}`},
		{"InvalidInput", "WEIGHTED", `{"Name":"x","NamespaceId":"$DNS","DnsConfig":{"DnsRecords":[{"Type":"CNAME","TTL":1}]}}`},
		{"InvalidInput", "", `{"Name":"x","NamespaceId":"$DNS","DnsConfig":{"DnsRecords":[{"Type":"TXT","TTL":1}]}}`},
	} {
		w.refuse(test.code, test.text, "CreateService", "%s", strings.NewReplacer("$HTTP", http, "$DNS", dns, "$END", dns[4:]).Replace(test.body))
	}

	names := func(filters string) string {
		var found []string
		for _, v := range w.do("ListServices", `{"Filters":%s}`, filters)["Services"].([]any) {
			found = append(found, fmt.Sprint(v.(object)["Name"], " ", v.(object)["Type"]))
		}
		return strings.Join(found, ", ")
	}
	for filters, want := range map[string]string{
		`[]`: "cart DNS_HTTP, cart HTTP, CART HTTP, plain HTTP, old DNS_HTTP, both DNS_HTTP",
		`[{"Name":"NAMESPACE_ID","Values":["` + http + `"]}]`:                     "cart HTTP, CART HTTP",
		`[{"Name":"NAMESPACE_ID","Values":["` + w.arn("namespace/"+http) + `"]}]`: "cart HTTP, CART HTTP",
		`[{"Name":"NAMESPACE_ID","Values":["ns-none"]}]`:                          "",
		`[{"Name":"RESOURCE_OWNER","Values":["OTHER_ACCOUNTS"]}]`:                 "",
		`[{"Name":"RESOURCE_OWNER","Values":["SELF"],"Condition":"EQ"}]`:          "cart DNS_HTTP, cart HTTP, CART HTTP, plain HTTP, old DNS_HTTP, both DNS_HTTP",
	} {
		if got := names(filters); got != want {
			t.Errorf("%s: %s, want %s", filters, got, want)
		}
	}
	w.refuse("InvalidInput", "", "ListServices", `{"Filters":[{"Name":"NAMESPACE_ID","Values":["a"],"Condition":"IN"}]}`)
	w.refuse("InvalidInput", "", "ListServices", `{"Filters":[{"Name":"RESOURCE_OWNER","Values":["ME"]}]}`)

	t.Run("update", func(t *testing.T) {
		update := `{"Id":%q,"Service":{"Description":"new","DnsConfig":{"DnsRecords":[{"Type":"A","TTL":5}]}}}`
		if target := w.finished(w.do("UpdateService", update, id), "UPDATE_SERVICE", "SERVICE"); target != id {
			t.Errorf("updated %s", target)
		}
		got := w.do("GetService", `{"Id":%q}`, id)["Service"].(object)
		if got["Description"] != "new" || !cmp.Equal(got["DnsConfig"].(object)["DnsRecords"], any([]any{object{"Type": "A", "TTL": 5.0}})) || got["HealthCheckCustomConfig"] == nil {
			t.Errorf("%v", got)
		}
		w.refuse("InvalidInput", "no record of type AAAA", "UpdateService", `{"Id":%q,"Service":{"DnsConfig":{"DnsRecords":[{"Type":"AAAA","TTL":5}]}}}`, id)
		w.refuse("InvalidInput", "twice", "UpdateService", `{"Id":%q,"Service":{"DnsConfig":{"DnsRecords":[{"Type":"A","TTL":5},{"Type":"A","TTL":5}]}}}`, id)
		w.refuse("InvalidInput", "not built", "UpdateService", `{"Id":%q,"Service":{"HealthCheckConfig":{"Type":"TCP"}}}`, id)
		w.refuse("ServiceNotFound", "srv-none", "UpdateService", `{"Id":"srv-none","Service":{}}`)
		w.refuse("InvalidInput", "HTTP namespace", "UpdateService", `{"Id":%q,"Service":{"Description":"x"}}`, w.service(http, "fixed", ""))
		// What is left out is removed.
		w.do("UpdateService", `{"Id":%q,"Service":{}}`, id)
		if got := w.do("GetService", `{"Id":%q}`, id)["Service"].(object); got["DnsConfig"] != nil || got["Type"] != "HTTP" || got["Description"] != "new" {
			t.Errorf("%v", got)
		}
	})

	w.register(id, "i", `{}`)
	w.refuse("ResourceInUse", "Service contains registered instances; delete the instances before deleting the service", "DeleteService", `{"Id":%q}`, id)
	w.do("DeregisterInstance", `{"ServiceId":%q,"InstanceId":"i"}`, id)
	w.do("DeleteService", `{"Id":%q}`, id)
	for _, operation := range []string{"GetService", "DeleteService"} {
		w.refuse("ServiceNotFound", id, operation, `{"Id":%q}`, id)
	}
}

func TestInstances(t *testing.T) {
	w := newWorld(t)
	id := w.service(w.namespace("n"), "cart", "")
	count := func() (instances, revision any) {
		return w.do("GetService", `{"Id":%q}`, id)["Service"].(object)["InstanceCount"],
			w.do("DiscoverInstancesRevision", `{"NamespaceName":"n","ServiceName":"cart"}`)["InstancesRevision"]
	}
	w.register(id, "pod/2", `{"AWS_INSTANCE_IPV4":"10.0.0.2"}`)
	w.register(id, "pod/1", `{"AWS_INSTANCE_IPV4":"10.0.0.1"}`)
	if n, revision := count(); n != 2.0 || revision != 2.0 {
		t.Errorf("%v instances, revision %v", n, revision)
	}
	// An id that is there is registered anew.
	w.do("RegisterInstance", `{"ServiceId":%q,"InstanceId":"pod/1","CreatorRequestId":"c","Attributes":{"AWS_INSTANCE_IPV4":"10.0.0.9","color":"red"}}`, w.arn("service/"+id))
	if n, revision := count(); n != 2.0 || revision != 3.0 {
		t.Errorf("%v instances, revision %v", n, revision)
	}
	got := w.do("GetInstance", `{"ServiceId":%q,"InstanceId":"pod/1"}`, id)
	want := object{"ResourceOwner": w.account, "Instance": object{
		"Id": "pod/1", "CreatorRequestId": "c", "CreatedByAccount": w.account, "Attributes": object{"AWS_INSTANCE_IPV4": "10.0.0.9", "color": "red"},
	}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	page := w.do("ListInstances", `{"ServiceId":%q,"MaxResults":1}`, id)
	rest := w.do("ListInstances", `{"ServiceId":%q,"MaxResults":1,"NextToken":%q}`, id, page["NextToken"])
	if first, second := page["Instances"].([]any)[0].(object)["Id"], rest["Instances"].([]any)[0].(object)["Id"]; first != "pod/1" || second != "pod/2" || rest["NextToken"] != nil {
		t.Errorf("%v\n%v", page, rest)
	}
	if target := w.finished(w.do("DeregisterInstance", `{"ServiceId":%q,"InstanceId":"pod/1"}`, id), "DEREGISTER_INSTANCE", "SERVICE"); target != id {
		t.Errorf("deregistered of %s", target)
	}
	if n, revision := count(); n != 1.0 || revision != 4.0 {
		t.Errorf("%v instances, revision %v", n, revision)
	}
	for _, operation := range []string{"GetInstance", "DeregisterInstance"} {
		w.refuse("InstanceNotFound", "pod/1", operation, `{"ServiceId":%q,"InstanceId":"pod/1"}`, id)
	}
	for _, operation := range []string{"GetInstance", "DeregisterInstance", "ListInstances", "GetInstancesHealthStatus"} {
		w.refuse("ServiceNotFound", "srv-none", operation, `{"ServiceId":"srv-none","InstanceId":"pod/1"}`)
	}
	w.refuse("ServiceNotFound", "srv-none", "RegisterInstance", `{"ServiceId":"srv-none","InstanceId":"a","Attributes":{}}`)
}

// TestAttributes: which attributes instances can have.
// Source: Cloud Map API Reference, RegisterInstance.
func TestAttributes(t *testing.T) {
	w := newWorld(t)
	dns := w.finished(w.do("CreatePrivateDnsNamespace", `{"Name":"local","Vpc":"vpc-1"}`), "CREATE_NAMESPACE", "NAMESPACE")
	services := map[string]string{"http": w.service(w.namespace("n"), "http", ""), "custom": w.service(dns, "custom", custom)}
	for name, config := range map[string]string{
		"A": `"DnsRecords":[{"Type":"A","TTL":1}]`, "AAAA": `"DnsRecords":[{"Type":"AAAA","TTL":1}]`,
		"both": `"DnsRecords":[{"Type":"A","TTL":1},{"Type":"AAAA","TTL":1}]`, "SRV": `"DnsRecords":[{"Type":"SRV","TTL":1}]`,
		"CNAME":    `"RoutingPolicy":"WEIGHTED","DnsRecords":[{"Type":"CNAME","TTL":1}]`,
		"weighted": `"RoutingPolicy":"WEIGHTED","DnsRecords":[{"Type":"A","TTL":1}]`,
	} {
		services[name] = w.service(dns, name, `,"DnsConfig":{`+config+`}`)
	}
	many := map[int]string{}
	for _, n := range []int{30, 31} {
		var list []string
		for i := range n {
			list = append(list, fmt.Sprintf(`"k%d":"v"`, i))
		}
		many[n] = `{` + strings.Join(list, ",") + `,"AWS_INSTANCE_PORT":"1"}`
	}
	long := func(n int) string {
		out := ""
		for ; n > 1004; n -= 1000 {
			out += fmt.Sprintf(`"k%03d":%q,`, n/1000, strings.Repeat("v", 996))
		}
		return fmt.Sprintf(`{%s"last":%q}`, out, strings.Repeat("v", n-4))
	}
	for _, test := range []struct{ service, attributes, refused string }{
		{"http", `{}`, ""},
		{"http", `{"AWS_INSTANCE_IPV4":"10.0.0.1","AWS_INSTANCE_IPV6":"fd00::1","AWS_INSTANCE_PORT":"65535","color":"red"}`, ""},
		{"http", `{"AWS_INSTANCE_IPV4":"fd00::1"}`, "not an IPv4 address"},
		{"http", `{"AWS_INSTANCE_IPV4":"host"}`, "not an IPv4 address"},
		{"http", `{"AWS_INSTANCE_IPV6":"10.0.0.1"}`, "not an IPv6 address"},
		{"http", `{"AWS_INSTANCE_IPV6":"fe80::1%eth0"}`, "not an IPv6 address"},
		{"http", `{"AWS_INSTANCE_PORT":"0"}`, "not a port"},
		{"http", `{"AWS_INSTANCE_PORT":"65536"}`, "not a port"},
		{"http", `{"AWS_INSTANCE_PORT":"http"}`, "not a port"},
		{"http", `{"AWS_INIT_HEALTH_STATUS":"HEALTHY"}`, "HealthCheckCustomConfig"},
		{"custom", `{"AWS_INIT_HEALTH_STATUS":"HEALTHY"}`, ""},
		{"custom", `{"AWS_INIT_HEALTH_STATUS":"UNKNOWN"}`, "HEALTHY or UNHEALTHY"},
		{"http", `{"AWS_EC2_INSTANCE_ID":"i-1"}`, "not built"},
		{"http", many[30], ""},
		{"http", many[31], "31 custom attributes"},
		{"http", long(5000), ""},
		{"http", long(5001), "5001 characters"},
		{"http", `{"":"x"}`, "Attributes"},
		{"http", `{"a b":"x"}`, "Attributes"},
		{"A", `{"AWS_INSTANCE_IPV4":"10.0.0.1"}`, ""},
		{"A", `{"AWS_INSTANCE_IPV6":"fd00::1"}`, "AWS_INSTANCE_IPV4 is required"},
		{"AAAA", `{"AWS_INSTANCE_IPV4":"10.0.0.1"}`, "AWS_INSTANCE_IPV6 is required"},
		{"both", `{"AWS_INSTANCE_IPV4":"10.0.0.1"}`, "AWS_INSTANCE_IPV6 is required"},
		{"both", `{"AWS_INSTANCE_IPV4":"10.0.0.1","AWS_INSTANCE_IPV6":"fd00::1"}`, ""},
		{"CNAME", `{}`, "AWS_INSTANCE_CNAME is required"},
		{"CNAME", `{"AWS_INSTANCE_CNAME":"example.com"}`, ""},
		{"SRV", `{"AWS_INSTANCE_PORT":"1"}`, "AWS_INSTANCE_IPV4 or AWS_INSTANCE_IPV6"},
		{"SRV", `{"AWS_INSTANCE_IPV6":"fd00::1"}`, "AWS_INSTANCE_PORT is required"},
		{"SRV", `{"AWS_INSTANCE_IPV6":"fd00::1","AWS_INSTANCE_PORT":"1"}`, ""},
		{"weighted", `{"AWS_ALIAS_DNS_NAME":"lb.example.com"}`, ""},
		{"weighted", `{"AWS_ALIAS_DNS_NAME":"lb.example.com","AWS_INSTANCE_IPV4":"10.0.0.1"}`, "exclude each other"},
		{"A", `{"AWS_ALIAS_DNS_NAME":"lb.example.com"}`, "WEIGHTED"},
		{"http", `{"AWS_ALIAS_DNS_NAME":"lb.example.com"}`, "WEIGHTED"},
	} {
		if test.refused != "" {
			w.refuse("InvalidInput", test.refused, "RegisterInstance", `{"ServiceId":%q,"InstanceId":"new","Attributes":%s}`, services[test.service], test.attributes)
			continue
		}
		w.register(services[test.service], "i", test.attributes)
	}
	w.refuse("InvalidInput", "", "RegisterInstance", `{"ServiceId":%q,"InstanceId":"a b","Attributes":{}}`, services["http"])
	w.refuse("InvalidInput", "", "RegisterInstance", `{"ServiceId":%q,"InstanceId":"a"}`, services["http"])
}

func TestHealth(t *testing.T) {
	w := newWorld(t)
	n := w.namespace("n")
	plain, checked := w.service(n, "plain", ""), w.service(n, "checked", custom)
	w.register(plain, "a", `{}`)
	w.register(checked, "a", `{}`)
	w.register(checked, "b", `{"AWS_INIT_HEALTH_STATUS":"UNHEALTHY"}`)
	statuses := func(service, more string) object {
		return w.do("GetInstancesHealthStatus", `{"ServiceId":%q%s}`, service, more)["Status"].(object)
	}
	expect := func(got, want object) {
		t.Helper()
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
	expect(statuses(plain, ""), object{"a": "UNKNOWN"})
	expect(statuses(checked, ""), object{"a": "HEALTHY", "b": "UNHEALTHY"})
	expect(statuses(checked, `,"Instances":["b","b"]`), object{"b": "UNHEALTHY"})
	w.refuse("InstanceNotFound", "none", "GetInstancesHealthStatus", `{"ServiceId":%q,"Instances":["a","none"]}`, checked)
	page := w.do("GetInstancesHealthStatus", `{"ServiceId":%q,"MaxResults":1}`, checked)
	expect(page["Status"].(object), object{"a": "HEALTHY"})
	expect(statuses(checked, fmt.Sprintf(`,"MaxResults":1,"NextToken":%q`, page["NextToken"])), object{"b": "UNHEALTHY"})

	report := `{"ServiceId":%q,"InstanceId":%q,"Status":%q}`
	w.do("UpdateInstanceCustomHealthStatus", report, checked, "a", "UNHEALTHY")
	w.do("UpdateInstanceCustomHealthStatus", report, checked, "b", "HEALTHY")
	expect(statuses(checked, ""), object{"a": "UNHEALTHY", "b": "HEALTHY"})
	if revision := w.do("DiscoverInstancesRevision", `{"NamespaceName":"n","ServiceName":"checked"}`)["InstancesRevision"]; revision != 2.0 {
		t.Errorf("a report of health changed the revision: %v", revision)
	}
	w.refuse("CustomHealthNotFound", plain, "UpdateInstanceCustomHealthStatus", report, plain, "a", "HEALTHY")
	w.refuse("InstanceNotFound", "none", "UpdateInstanceCustomHealthStatus", report, checked, "none", "HEALTHY")
	w.refuse("ServiceNotFound", "srv-none", "UpdateInstanceCustomHealthStatus", report, "srv-none", "a", "HEALTHY")
	w.refuse("InvalidInput", "", "UpdateInstanceCustomHealthStatus", report, checked, "a", "UNKNOWN")
}

// TestDiscover: which instances a call finds.
// Source: Cloud Map API Reference, DiscoverInstances.
func TestDiscover(t *testing.T) {
	w := newWorld(t)
	n := w.namespace("n")
	plain, checked, down := w.service(n, "plain", ""), w.service(n, "checked", custom), w.service(n, "down", custom)
	w.register(plain, "a", `{"v":"1"}`)
	w.register(checked, "a", `{"v":"1","az":"x"}`)
	w.register(checked, "b", `{"v":"1","az":"y"}`)
	w.register(checked, "c", `{"v":"2","az":"x","AWS_INIT_HEALTH_STATUS":"UNHEALTHY"}`)
	w.register(down, "a", `{"AWS_INIT_HEALTH_STATUS":"UNHEALTHY"}`)
	w.service(n, "empty", "")
	find := func(service, more string) string {
		t.Helper()
		var found []string
		for _, i := range w.do("DiscoverInstances", `{"NamespaceName":"n","ServiceName":%q%s}`, service, more)["Instances"].([]any) {
			found = append(found, i.(object)["InstanceId"].(string))
		}
		slices.Sort(found)
		return strings.Join(found, "")
	}
	for _, test := range []struct{ service, more, want string }{
		{"empty", ``, ""},
		{"plain", ``, "a"},
		{"plain", `,"HealthStatus":"UNHEALTHY"`, "a"}, // ignored without health check
		{"checked", ``, "ab"},
		{"checked", `,"HealthStatus":"HEALTHY"`, "ab"},
		{"checked", `,"HealthStatus":"UNHEALTHY"`, "c"},
		{"checked", `,"HealthStatus":"ALL"`, "abc"},
		{"checked", `,"HealthStatus":"HEALTHY_OR_ELSE_ALL"`, "ab"},
		{"down", ``, "a"},
		{"down", `,"HealthStatus":"HEALTHY"`, ""},
		{"down", `,"HealthStatus":"HEALTHY_OR_ELSE_ALL"`, "a"},
		{"checked", `,"QueryParameters":{"v":"1"}`, "ab"},
		{"checked", `,"QueryParameters":{"v":"1","az":"y"}`, "b"},
		{"checked", `,"QueryParameters":{"v":"3"}`, ""},
		{"checked", `,"QueryParameters":{"none":"1"}`, ""},
		{"checked", `,"QueryParameters":{"v":"2"}`, "c"},
		{"checked", `,"QueryParameters":{"v":"2"},"HealthStatus":"HEALTHY"`, ""},
		{"checked", `,"OptionalParameters":{"az":"y"}`, "b"},
		{"checked", `,"OptionalParameters":{"az":"z"}`, "ab"},
		{"checked", `,"QueryParameters":{"v":"1"},"OptionalParameters":{"az":"x"}`, "a"},
		{"checked", `,"QueryParameters":{"v":"3"},"OptionalParameters":{"az":"x"}`, ""},
		// Those that match and are not healthy are not chosen over healthy ones.
		{"checked", `,"OptionalParameters":{"v":"2"}`, "ab"},
		{"checked", `,"OptionalParameters":{"v":"2"},"HealthStatus":"HEALTHY"`, "ab"},
		{"checked", `,"OptionalParameters":{"v":"2"},"HealthStatus":"ALL"`, "c"},
		{"checked", `,"OptionalParameters":{"az":"y"},"HealthStatus":"UNHEALTHY"`, "c"},
		{"down", `,"OptionalParameters":{"az":"y"},"HealthStatus":"HEALTHY_OR_ELSE_ALL"`, "a"},
		{"checked", `,"OwnerAccount":"` + w.account + `"`, "ab"},
	} {
		if got := find(test.service, test.more); got != test.want {
			t.Errorf("%s %s: found %q, want %q", test.service, test.more, got, test.want)
		}
	}
	if got := find("checked", `,"HealthStatus":"ALL","MaxResults":2`); len(got) != 2 {
		t.Errorf("MaxResults 2: %q", got)
	}
	seen := map[string]bool{}
	for range 3 { // each shuffle puts another one first
		seen[find("checked", `,"HealthStatus":"ALL","MaxResults":1`)] = true
	}
	if got := slices.Sorted(maps.Keys(seen)); !slices.Equal(got, []string{"a", "b", "c"}) {
		t.Errorf("the first is always of %v", got)
	}
	got := w.do("DiscoverInstances", `{"NamespaceName":"n","ServiceName":"plain"}`)
	want := object{"InstancesRevision": 1.0, "Instances": []any{object{
		"InstanceId": "a", "NamespaceName": "n", "ServiceName": "plain", "HealthStatus": "UNKNOWN", "Attributes": object{"v": "1"},
	}}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for _, operation := range []string{"DiscoverInstances", "DiscoverInstancesRevision"} {
		w.refuse("NamespaceNotFound", "none", operation, `{"NamespaceName":"none","ServiceName":"plain"}`)
		w.refuse("ServiceNotFound", "none", operation, `{"NamespaceName":"n","ServiceName":"none"}`)
		w.refuse("NamespaceNotFound", "n", operation, `{"NamespaceName":"n","ServiceName":"plain","OwnerAccount":"999999999999"}`)
	}
	w.refuse("InvalidInput", "", "DiscoverInstances", `{"NamespaceName":"n","ServiceName":"plain","HealthStatus":"FINE"}`)
	w.refuse("InvalidInput", "", "DiscoverInstances", `{"NamespaceName":"n","ServiceName":"plain","MaxResults":0}`)
}

func TestOperations(t *testing.T) {
	w := newWorld(t)
	n := w.namespace("n")
	first := w.time
	id := w.service(n, "cart", "")
	w.register(id, "a", `{}`)
	w.namespace("other")
	count := func(filters string) int {
		t.Helper()
		return len(w.do("ListOperations", `{"Filters":%s}`, filters)["Operations"].([]any))
	}
	seconds := func(offset int64) string { return fmt.Sprint(first.Unix() + offset) }
	for filters, want := range map[string]int{
		`[]`: 3,
		`[{"Name":"NAMESPACE_ID","Values":["` + n + `"]}]`:                                                                2,
		`[{"Name":"SERVICE_ID","Values":["` + id + `"]}]`:                                                                 1,
		`[{"Name":"STATUS","Values":["SUCCESS"]}]`:                                                                        3,
		`[{"Name":"STATUS","Values":["PENDING","SUCCEED"],"Condition":"IN"}]`:                                             3,
		`[{"Name":"STATUS","Values":["FAIL"]}]`:                                                                           0,
		`[{"Name":"TYPE","Values":["REGISTER_INSTANCE","DELETE_NAMESPACE"],"Condition":"IN"}]`:                            1,
		`[{"Name":"UPDATE_DATE","Values":["` + seconds(-1) + `","` + seconds(1) + `"],"Condition":"BETWEEN"}]`:            3,
		`[{"Name":"UPDATE_DATE","Values":["` + seconds(1) + `","` + seconds(2) + `"],"Condition":"BETWEEN"}]`:             0,
		`[{"Name":"NAMESPACE_ID","Values":["` + n + `"]},{"Name":"TYPE","Values":["CREATE_NAMESPACE"],"Condition":"EQ"}]`: 1,
	} {
		if got := count(filters); got != want {
			t.Errorf("%s: %d operations, want %d", filters, got, want)
		}
	}
	for _, filters := range []string{
		`[{"Name":"NAMESPACE_ID","Values":["a"],"Condition":"IN"}]`, `[{"Name":"STATUS","Values":["SUCCESS","FAIL"]}]`,
		`[{"Name":"UPDATE_DATE","Values":["1"],"Condition":"BETWEEN"}]`, `[{"Name":"UPDATE_DATE","Values":["1","now"],"Condition":"BETWEEN"}]`,
		`[{"Name":"UPDATE_DATE","Values":["1"]}]`,
	} {
		w.refuse("InvalidInput", "", "ListOperations", `{"Filters":%s}`, filters)
	}
	w.refuse("OperationNotFound", "none", "GetOperation", `{"OperationId":"none"}`)
	made := w.do("CreateHttpNamespace", `{"Name":"third"}`)["OperationId"]
	w.refuse("OperationNotFound", "", "GetOperation", `{"OperationId":%q,"OwnerAccount":"999999999999"}`, made)
}

func TestTags(t *testing.T) {
	w := newWorld(t)
	n := w.finished(w.do("CreateHttpNamespace", `{"Name":"n","Tags":[{"Key":"a","Value":"1"}]}`), "CREATE_NAMESPACE", "NAMESPACE")
	for _, arn := range []string{w.arn("namespace/" + n), w.arn("service/" + w.service(n, "cart", `,"Tags":[{"Key":"a","Value":"1"}]`))} {
		tags := func() string { return fmt.Sprint(w.do("ListTagsForResource", `{"ResourceARN":%q}`, arn)["Tags"]) }
		w.do("TagResource", `{"ResourceARN":%q,"Tags":[{"Key":"b","Value":""}]}`, arn)
		if got := tags(); got != "[map[Key:a Value:1] map[Key:b Value:]]" {
			t.Error(got)
		}
		w.do("UntagResource", `{"ResourceARN":%q,"TagKeys":["a","none"]}`, arn)
		if got := tags(); got != "[map[Key:b Value:]]" {
			t.Error(got)
		}
		var many []string
		for i := range 50 {
			many = append(many, fmt.Sprintf(`{"Key":"k%d","Value":"v"}`, i))
		}
		if e := w.refuse("TooManyTagsException", "51", "TagResource", `{"ResourceARN":%q,"Tags":[%s]}`, arn, strings.Join(many, ",")); e["ResourceName"] != arn {
			t.Errorf("%v", e)
		}
		for _, tags := range []string{`[{"Key":"AWS:x","Value":""}]`, `[{"Key":"x","Value":"1"},{"Key":"x","Value":"2"}]`} {
			w.refuse("InvalidInput", "the tag key", "TagResource", `{"ResourceARN":%q,"Tags":%s}`, arn, tags)
		}
	}
	for _, arn := range []string{"x", w.arn("namespace/ns-none"), w.arn("service/" + n), strings.Replace(w.arn("namespace/"+n), "aws", "aws-cn", 1)} {
		for _, operation := range []string{"TagResource", "UntagResource", "ListTagsForResource"} {
			w.refuse("ResourceNotFoundException", arn, operation, `{"ResourceARN":%q,"Tags":[],"TagKeys":[]}`, arn)
		}
	}
}

// TestAccounts: nothing of one account is seen from another.
func TestAccounts(t *testing.T) {
	w := newWorld(t)
	n := w.namespace("n")
	v := w.service(n, "cart", "")
	w.register(v, "a", `{}`)
	operation := w.do("CreateHttpNamespace", `{"Name":"m"}`)["OperationId"]
	stranger := newAccount()
	for _, test := range []struct{ operation, body, code string }{
		{"GetNamespace", fmt.Sprintf(`{"Id":%q}`, n), "NamespaceNotFound"},
		{"GetNamespace", fmt.Sprintf(`{"Id":%q}`, w.arn("namespace/"+n)), "NamespaceNotFound"},
		{"DeleteService", fmt.Sprintf(`{"Id":%q}`, w.arn("service/"+v)), "ServiceNotFound"},
		{"CreateService", fmt.Sprintf(`{"Name":"x","NamespaceId":%q}`, w.arn("namespace/"+n)), "NamespaceNotFound"},
		{"RegisterInstance", fmt.Sprintf(`{"ServiceId":%q,"InstanceId":"x","Attributes":{}}`, w.arn("service/"+v)), "ServiceNotFound"},
		{"DiscoverInstances", fmt.Sprintf(`{"NamespaceName":"n","ServiceName":"cart","OwnerAccount":%q}`, w.account), "NamespaceNotFound"},
		{"GetOperation", fmt.Sprintf(`{"OperationId":%q}`, operation), "OperationNotFound"},
		{"ListTagsForResource", fmt.Sprintf(`{"ResourceARN":%q}`, w.arn("namespace/"+n)), "ResourceNotFoundException"},
	} {
		if status, out := w.as(stranger, test.operation, test.body); status == 200 || out["__type"] != test.code {
			t.Errorf("%s %s answered %d %v, want %s", test.operation, test.body, status, out, test.code)
		}
	}
	for operation, member := range map[string]string{"ListNamespaces": "Namespaces", "ListServices": "Services", "ListOperations": "Operations"} {
		if _, out := w.as(stranger, operation, `{}`); len(out[member].([]any)) != 0 {
			t.Errorf("%s: %v", operation, out)
		}
	}
}

// TestAccess: the action, the resources and the condition keys of calls.
// Source: Service Authorization Reference, "Actions, resources, and condition keys
// for AWS Cloud Map".
func TestAccess(t *testing.T) {
	w := newWorld(t)
	n := w.finished(w.do("CreateHttpNamespace", `{"Name":"n","Tags":[{"Key":"team","Value":"a"}]}`), "CREATE_NAMESPACE", "NAMESPACE")
	v := w.service(n, "cart", custom+`,"Tags":[{"Key":"team","Value":"b"}]`)
	w.register(v, "i", `{}`)
	operation := w.do("CreateHttpNamespace", `{"Name":"m"}`)["OperationId"].(string)
	nARN, vARN := w.arn("namespace/"+n), w.arn("service/"+v)
	nKeys, vKeys := " aws:ResourceTag/team=a", " aws:ResourceTag/team=b"
	onService := vARN + vKeys + " servicediscovery:ServiceArn=" + vARN
	created := " servicediscovery:ServiceCreatedByAccount=" + w.account
	byName := " servicediscovery:NamespaceName=n servicediscovery:ServiceName="
	tags := " aws:TagKeys=x aws:RequestTag/x=1"
	fill := strings.NewReplacer("$NS", n, "$SRV", v, "$ARN", vARN)
	for _, test := range []struct {
		operation, body string
		want            []string
	}{
		{"CreateHttpNamespace", `{"Name":"x"}`, []string{"*"}},
		{"CreateHttpNamespace", `{"Name":"y","Tags":[{"Key":"x","Value":"1"}]}`, []string{"*" + tags, "servicediscovery:TagResource *" + tags}},
		{"CreatePublicDnsNamespace", `{"Name":"a.b","Tags":[{"Key":"x","Value":"1"}]}`, []string{"*" + tags, "servicediscovery:TagResource *" + tags}},
		{"CreatePrivateDnsNamespace", `{"Name":"a.c","Vpc":"vpc-1"}`, []string{"*"}},
		{"GetNamespace", `{"Id":"$NS"}`, []string{nARN + nKeys}},
		{"GetNamespace", `{"Id":"none"}`, []string{w.arn("namespace/none")}},
		{"DeleteNamespace", `{"Id":"$NS"}`, []string{nARN + nKeys}},
		{"ListNamespaces", `{}`, []string{"*"}},
		{"CreateService", `{"Name":"x","NamespaceId":"$NS","Tags":[{"Key":"x","Value":"1"}]}`, []string{
			nARN + nKeys + tags + " servicediscovery:NamespaceArn=" + nARN,
			w.arn("service/*") + tags + " servicediscovery:NamespaceArn=" + nARN, "servicediscovery:TagResource *" + tags,
		}},
		{"GetService", `{"Id":"$SRV"}`, []string{vARN + vKeys}},
		{"GetService", `{"Id":"$ARN"}`, []string{vARN + vKeys}},
		{"ListServices", `{}`, []string{"*"}},
		{"UpdateService", `{"Id":"$SRV","Service":{}}`, []string{vARN + vKeys + created}},
		{"DeleteService", `{"Id":"$SRV"}`, []string{vARN + vKeys + created}},
		{"RegisterInstance", `{"ServiceId":"$SRV","InstanceId":"i","Attributes":{}}`, []string{onService + created}},
		{"RegisterInstance", `{"ServiceId":"none","InstanceId":"i","Attributes":{}}`, []string{w.arn("service/none")}},
		{"UpdateInstanceCustomHealthStatus", `{"ServiceId":"$SRV","InstanceId":"i","Status":"HEALTHY"}`, []string{onService + created}},
		{"GetInstance", `{"ServiceId":"$SRV","InstanceId":"i"}`, []string{onService}},
		{"ListInstances", `{"ServiceId":"$SRV"}`, []string{onService}},
		{"GetInstancesHealthStatus", `{"ServiceId":"$SRV"}`, []string{onService}},
		{"DiscoverInstances", `{"NamespaceName":"n","ServiceName":"cart"}`, []string{nARN + nKeys + byName + "cart", vARN + vKeys + byName + "cart"}},
		{"DiscoverInstancesRevision", `{"NamespaceName":"n","ServiceName":"none"}`, []string{nARN + nKeys + byName + "none", w.arn("service/*") + byName + "none"}},
		{"DeregisterInstance", `{"ServiceId":"$SRV","InstanceId":"i"}`, []string{onService + created}},
		{"GetOperation", `{"OperationId":"none"}`, []string{w.arn("namespace/*")}},
		{"ListOperations", `{}`, []string{"*"}},
		{"TagResource", `{"ResourceARN":"$ARN","Tags":[{"Key":"x","Value":"1"}]}`, []string{"*"}},
		{"UntagResource", `{"ResourceARN":"$ARN","TagKeys":["x"]}`, []string{"*"}},
		{"ListTagsForResource", `{"ResourceARN":"$ARN"}`, []string{"*"}},
	} {
		w.call = nil
		w.as(w.account, test.operation, fill.Replace(test.body))
		if w.call == nil || w.call.Action != "servicediscovery:"+test.operation {
			t.Errorf("%s: %+v", test.operation, w.call)
			continue
		}
		var got []string
		for _, r := range w.call.Resources {
			got = append(got, strings.TrimSpace(r.Action+" "+r.ARN+keys(r.Keys)))
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.operation, diff)
		}
	}
	w.as(w.account, "GetOperation", fmt.Sprintf(`{"OperationId":%q}`, operation))
	if got := w.call.Resources[0].ARN; !strings.HasPrefix(got, w.arn("namespace/ns-")) {
		t.Errorf("the operation is in %s", got)
	}
	for operation, want := range map[string]string{"TagResource": tags, "UntagResource": " aws:TagKeys=x"} {
		w.as(w.account, operation, fill.Replace(`{"ResourceARN":"$ARN","Tags":[{"Key":"x","Value":"1"}],"TagKeys":["x"]}`))
		if got := keys(w.call.Keys); got != want {
			t.Errorf("%s has the keys%s, want%s", operation, got, want)
		}
	}
}

func keys(list []awsapi.Key) string {
	out := ""
	for _, k := range list {
		out += " " + k.Name + "=" + strings.Join(k.Values, ",")
	}
	return out
}
