package main

import (
	"fmt"
	"strings"
)

const awsapiImport = "github.com/latchwork/latchwork/internal/awsapi"

func (g *generator) protocol() (string, error) {
	switch g.model.Metadata.Protocol {
	case "rest-json":
		return "awsapi.RESTJSON", nil
	case "query":
		return "awsapi.Query", nil
	case "ec2":
		return "awsapi.EC2Query", nil
	case "json", "smithy-rpc-v2-cbor":
		// A service with the second has the first too.
		return "awsapi.JSON", nil
	}
	return "", fmt.Errorf("protocol %q is unknown", g.model.Metadata.Protocol)
}

// emitAPI writes the description of the service and the operation table.
func (g *generator) emitAPI() error {
	protocol, err := g.protocol()
	if err != nil {
		return err
	}
	meta := g.model.Metadata
	signing := meta.SigningName
	if signing == "" {
		signing = meta.EndpointPrefix
	}
	g.printf("package %s\n\nimport %q\n\n", g.pkg, awsapiImport)
	g.printf("// API describes %s, version %s.\nvar API = &awsapi.Service{\n", g.title, meta.APIVersion)
	g.printf("\tName: %q,\n\tSigningName: %q,\n\tVersion: %q,\n\tProtocol: %s,\n", meta.EndpointPrefix, signing, meta.APIVersion, protocol)
	if meta.TargetPrefix != "" {
		g.printf("\tTarget: %q,\n", meta.TargetPrefix)
	}
	if meta.XMLNamespace != "" {
		namespace := meta.XMLNamespace
		if !strings.HasSuffix(namespace, "/") {
			// The EC2 model leaves out the slash that its answers have.
			namespace += "/"
		}
		g.printf("\tNamespace: %q,\n", namespace)
	}
	if g.percentEncoded != "" {
		g.printf("\tPercentEncoded: %q,\n", g.percentEncoded)
	}
	g.printf("\tErrors: errorShapes,\n\tConstraints: constraints,\n}\n\n")
	g.emitErrors()
	g.printf("// Bind joins every operation of %s with h's method for it.\n", g.title)
	g.printf("func Bind(h Handler, access awsapi.AccessTable) awsapi.Binding {\n")
	g.printf("\treturn awsapi.Binding{Service: API, Handler: h, Access: access, Operations: []awsapi.Operation{\n")
	for _, name := range sorted(g.model.Operations) {
		g.operationRow(g.model.Operations[name])
	}
	g.printf("\t}}\n}\n")
	return nil
}

func (g *generator) operationRow(op *operation) {
	g.printf("\t\tawsapi.Op(awsapi.Spec{Name: %q, Method: %q, URI: %q", op.Name, op.HTTP.Method, op.HTTP.RequestURI)
	status := op.HTTP.ResponseCode
	if status == 0 {
		status = 200
	}
	g.printf(", Status: %d", status)
	if op.Output != nil && op.Output.ResultWrapper != "" {
		g.printf(", Result: %q", op.Output.ResultWrapper)
	}
	if op.AuthType == "none" {
		g.printf(", Unsigned: true")
	}
	if p := g.model.Pagination[op.Name]; p != nil && p.InputToken != "" {
		g.printf(", Pages: &awsapi.Pages{InputToken: %q, OutputToken: %q", goName(p.InputToken), goName(p.OutputToken))
		if p.LimitKey != "" {
			g.printf(", Limit: %q", goName(p.LimitKey))
		}
		if p.MoreResults != "" {
			g.printf(", More: %q", goName(p.MoreResults))
		}
		g.printf("}")
	}
	if len(op.Errors) > 0 {
		g.printf(", Errors: []string{")
		for i, r := range op.Errors {
			if i > 0 {
				g.printf(", ")
			}
			g.printf("%q", g.errorCode(r.Shape))
		}
		g.printf("}")
	}
	g.printf("}, h.%s),\n", op.Name)
}

// errorCode is the code that goes over the wire for an error shape.
func (g *generator) errorCode(name string) string {
	if s := g.model.Shapes[name]; s != nil && s.Error != nil && s.Error.Code != "" {
		return s.Error.Code
	}
	return name
}

func (g *generator) emitErrors() {
	g.printf("var errorShapes = map[string]awsapi.ErrorShape{\n")
	for _, name := range sorted(g.model.Shapes) {
		s := g.model.Shapes[name]
		if !s.Exception {
			continue
		}
		status := 400
		if s.Fault {
			status = 500
		}
		if s.Error != nil && s.Error.Status != 0 {
			status = s.Error.Status
		}
		g.printf("\t%q: {Status: %d", g.errorCode(name), status)
		var members []string
		message := "message"
		for _, member := range sorted(s.Members) {
			switch {
			case strings.EqualFold(member, "message"):
				message = member
			case s.Members[member].Location == "":
				members = append(members, member)
			}
		}
		if len(members) > 0 {
			g.printf(", Members: %#v", members)
		}
		if message != "message" {
			g.printf(", Message: %q", message)
		}
		g.printf("},\n")
	}
	g.printf("}\n\n")
}

// emitConstraints writes what the model says of the values that can occur in an
// input. Outputs are ours and are not checked.
func (g *generator) emitConstraints() error {
	g.printf("package %s\n\nimport %q\n\n", g.pkg, awsapiImport)
	g.printf("var constraints = map[string]*awsapi.Constraint{\n")
	inputs := map[string]bool{}
	for _, op := range g.model.Operations {
		g.reach(op.Input, inputs)
	}
	for _, name := range sorted(inputs) {
		s := g.model.Shapes[name]
		var parts []string
		add := func(text string, args ...any) { parts = append(parts, fmt.Sprintf(text, args...)) }
		if s.Min != nil {
			add("Min: %d, HasMin: true", *s.Min)
		}
		if s.Max != nil {
			add("Max: %d, HasMax: true", *s.Max)
		}
		if len(s.Enum) > 0 {
			add("Enum: %#v", s.Enum)
		}
		if s.Pattern != "" {
			add("Pattern: %q", s.Pattern)
			if function := handWritten[g.target.model][name]; function != "" {
				add("Match: %s", function)
			} else {
				re, err := translate(s.Pattern)
				if err != nil {
					return fmt.Errorf("shape %s: %w", name, err)
				}
				add("RE2: %q", re)
			}
		}
		for _, part := range []struct {
			field string
			ref   *ref
		}{{"Elem", s.Member}, {"Key", s.Key}, {"Value", s.Value}} {
			if part.ref != nil {
				add("%s: %q", part.field, part.ref.Shape)
			}
		}
		if s.Sensitive {
			add("Sensitive: true")
		}
		if s.Union {
			add("Union: true")
		}
		if len(parts) > 0 {
			g.printf("\t%q: {%s},\n", name, strings.Join(parts, ", "))
		}
	}
	g.printf("}\n")
	return nil
}

// reach adds the shapes that r leads to.
func (g *generator) reach(r *ref, seen map[string]bool) {
	if r == nil || seen[r.Shape] {
		return
	}
	seen[r.Shape] = true
	s := g.model.Shapes[r.Shape]
	for _, member := range s.Members {
		g.reach(member, seen)
	}
	g.reach(s.Member, seen)
	g.reach(s.Key, seen)
	g.reach(s.Value, seen)
}
