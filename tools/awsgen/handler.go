package main

func (g *generator) emitHandler() error {
	g.printf("package %s\n\nimport (\n\t\"context\"\n\n\t%q\n)\n\n", g.pkg, "github.com/latchwork/latchwork/internal/wire")
	g.printf("// Handler has every operation of %s.\ntype Handler interface {\n", g.title)
	for _, name := range sorted(g.model.Operations) {
		g.printf("\t%s(context.Context, *%sRequest) (*%sResponse, error)\n", name, name, name)
	}
	g.printf("}\n\n")
	g.printf("// Unimplemented answers every operation with a fault that says it is not built\n" +
		"// yet. A handler embeds it and declares the operations that it has.\ntype Unimplemented struct{}\n\n" +
		"var _ Handler = Unimplemented{}\n\n")
	for _, name := range sorted(g.model.Operations) {
		g.printf("// %s is not built yet.\nfunc (Unimplemented) %s(context.Context, *%sRequest) (*%sResponse, error) {\n\treturn nil, wire.NotBuilt(%q, %q)\n}\n\n",
			name, name, name, name, g.title, name)
	}
	return nil
}
