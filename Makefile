# Everything that is compiled or generated, and how it hangs together:
#
#   native/src ─ node-gyp ─▶ the addon                     bpf/ ─ clang ─▶ build/bpf/*.o
#   proto/ ─ pbjs, buf ─▶ gen/cabernet.*                   build/bpf/shared.o ─ scripts/generate-layout.ts ─▶ gen/layout.ts
#   src, native/lib, bench, scripts, gen ─ tsc ─▶ dist/
#   native-tools/NAME/*.c ─ gcc ─▶ build/native-tools/NAME
#
# scripts/setup installs what this needs and then makes `all`.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules

BIN := node_modules/.bin
TRIPLET := $(shell gcc -print-multiarch 2>/dev/null)

# `make WERROR=` for a compiler which finds more to say than Debian's.
WERROR := -Werror

.PHONY: all addon tools bpf bpf-all gen dist check-native check-bpf check-tools clean
all: addon tools dist bpf

# ---- the addon ----

ADDON := native/build/Release/libbpf_ts.node
NATIVE_SOURCES := $(wildcard native/src/*.cc)
NATIVE_HEADERS := $(wildcard native/src/*.h)
# Empty: node-gyp has to fetch the headers of the running Node.
NODE_DIR = $(shell scripts/node-headers)

addon: $(ADDON)

$(ADDON): native/binding.gyp $(NATIVE_SOURCES) $(NATIVE_HEADERS)
	CXXFLAGS="$(WERROR)" $(BIN)/node-gyp configure build --directory native --jobs max --loglevel warn \
		$(if $(NODE_DIR),--nodedir="$(NODE_DIR)")
	touch $@

# ---- small programs of their own: a folder each ----

TOOLS := $(notdir $(patsubst %/,%,$(wildcard native-tools/*/)))
TOOL_FLAGS := -std=gnu11 -O2 -g -D_GNU_SOURCE -Wall -Wextra
TOOL_LIBRARIES_bfd-sender := -lbpf

tools: $(addprefix build/native-tools/,$(TOOLS))

.SECONDEXPANSION:
build/native-tools/%: $$(wildcard native-tools/*.h native-tools/$$*/*.[ch]) bpf/bfd.h bpf/measurement.h Makefile
	mkdir -p $(@D)
	gcc $(TOOL_FLAGS) $(WERROR) -o $@ $(wildcard native-tools/$*/*.c) $(TOOL_LIBRARIES_$*)

# ---- the BPF objects ----

CLANG ?= $(firstword $(foreach name,clang-19 clang clang-14,$(if $(shell command -v $(name)),$(name))))
CLANGS := $(foreach name,clang-14 clang-19,$(if $(shell command -v $(name)),$(name)))
BPF_FLAGS := -O2 -g -target bpf -mcpu=v3 -Wall -Wextra $(WERROR) -I/usr/include/$(TRIPLET) -MMD -MP
BPF_OBJECTS := cabernet.o cabernet-trace.o cabernet-test.o \
	cabernet-jumbo.o cabernet-jumbo-trace.o cabernet-jumbo-test.o relay.o numbered.o shared.o

bpf: $(addprefix build/bpf/,$(BPF_OBJECTS))
# Every object by every compiler that is supported and here.
bpf-all: bpf $(foreach clang,$(CLANGS),$(addprefix build/bpf/$(clang)/,$(BPF_OBJECTS)))

# $(1) folder, $(2) compiler
define bpf_rules
$(1)/%.o: bpf/%.bpf.c | $(1)
	$(2) $(BPF_FLAGS) -c $$< -o $$@
$(1)/%-trace.o: bpf/%.bpf.c | $(1)
	$(2) $(BPF_FLAGS) -DCABERNET_TRACE -c $$< -o $$@
$(1)/%-test.o: bpf/%.bpf.c | $(1)
	$(2) $(BPF_FLAGS) -DCABERNET_TEST -c $$< -o $$@
$(1)/%-jumbo.o: bpf/%.bpf.c | $(1)
	$(2) $(BPF_FLAGS) -DCABERNET_JUMBO -c $$< -o $$@
$(1)/%-jumbo-trace.o: bpf/%.bpf.c | $(1)
	$(2) $(BPF_FLAGS) -DCABERNET_JUMBO -DCABERNET_TRACE -c $$< -o $$@
$(1)/%-jumbo-test.o: bpf/%.bpf.c | $(1)
	$(2) $(BPF_FLAGS) -DCABERNET_JUMBO -DCABERNET_TEST -c $$< -o $$@
$(1):
	mkdir -p $$@
-include $(wildcard $(1)/*.d)
endef
$(eval $(call bpf_rules,build/bpf,$(CLANG)))
$(foreach clang,$(CLANGS),$(eval $(call bpf_rules,build/bpf/$(clang),$(clang))))

# ---- generated code ----

PROTOS := $(shell find proto -name '*.proto')
GENERATED := gen/cabernet.js gen/cabernet.d.ts gen/cabernet.json gen/cabernet.binpb
GENERATOR := scripts/generate-layout.ts tsconfig.native.json $(wildcard native/lib/*.ts)

gen: $(GENERATED) build/gen.done

# Without what nobody calls, which every process would read and keep.
gen/cabernet.js: $(PROTOS) Makefile
	mkdir -p gen
	$(BIN)/pbjs --path proto --target static-module --wrap esm --dts \
		--no-verify --no-convert --no-delimited --out $@ $(PROTOS)
gen/cabernet.d.ts: gen/cabernet.js
gen/cabernet.json: $(PROTOS)
	mkdir -p gen
	$(BIN)/pbjs --path proto --target json --out $@ $(PROTOS)
# The descriptors, for gRPC reflection.
gen/cabernet.binpb: $(PROTOS) buf.yaml
	mkdir -p gen
	$(BIN)/buf build --output $@

# gen/layout.ts and gen/reasons.ts, which are only touched when they change.
build/gen.done: build/bpf/shared.o $(GENERATOR)
	$(BIN)/tsc -p tsconfig.native.json
	node dist/scripts/generate-layout.js build/bpf/shared.o gen
	touch $@
gen/layout.ts gen/reasons.ts: build/gen.done

# ---- TypeScript ----

SOURCES := $(shell find src native/lib bench lab scripts -name '*.ts' 2>/dev/null)

dist: build/dist.done

build/dist.done: $(SOURCES) gen/layout.ts gen/reasons.ts $(GENERATED) tsconfig.json tsconfig.build.json
	$(BIN)/tsc -p tsconfig.build.json
	cp $(GENERATED) dist/gen/
	touch $@

# ---- static analysis; each file once per change ----

TIDY := clang-tidy-19 --quiet --warnings-as-errors='*'
TIDY_CPP = -std=c++17 -fexceptions -Wall -Wextra -Wno-missing-field-initializers -DNAPI_VERSION=8 \
	-DNAPI_CPP_EXCEPTIONS -DNODE_API_SWALLOW_UNTHROWABLE_EXCEPTIONS -DLIBBPF_TS_NETLINK -DNODE_GYP_MODULE_NAME=libbpf_ts \
	-isystem $(NODE_DIR)/include/node -isystem node_modules/node-addon-api
TIDY_BPF := -O2 -g -target bpf -mcpu=v3 -Wall -Wextra -I/usr/include/$(TRIPLET)

check-native: $(patsubst native/src/%.cc,build/tidy/%.cc.ok,$(NATIVE_SOURCES))
check-bpf: $(patsubst bpf/%.c,build/tidy/%.c.ok,$(wildcard bpf/*.bpf.c)) \
	build/tidy/cabernet-trace.ok build/tidy/cabernet-test.ok build/tidy/cabernet-jumbo.ok
check-tools: $(patsubst native-tools/%.c,build/tidy/tools/%.c.ok,$(wildcard native-tools/*/*.c))

build/tidy/%.cc.ok: native/src/%.cc $(NATIVE_HEADERS) .clang-tidy | build/tidy
	$(TIDY) $< -- $(TIDY_CPP)
	touch $@
build/tidy/%.bpf.c.ok: bpf/%.bpf.c $(wildcard bpf/*.h) bpf/.clang-tidy | build/tidy
	$(TIDY) $< -- $(TIDY_BPF)
	touch $@
build/tidy/cabernet-trace.ok: TIDY_BPF += -DCABERNET_TRACE
build/tidy/cabernet-test.ok: TIDY_BPF += -DCABERNET_TEST
build/tidy/cabernet-jumbo.ok: TIDY_BPF += -DCABERNET_JUMBO
build/tidy/cabernet-%.ok: bpf/cabernet.bpf.c $(wildcard bpf/*.h) bpf/.clang-tidy | build/tidy
	$(TIDY) $< -- $(TIDY_BPF)
	touch $@
build/tidy/tools/%.c.ok: native-tools/%.c $(wildcard native-tools/*.h native-tools/*/*.h) bpf/bfd.h native-tools/.clang-tidy
	mkdir -p $(@D)
	$(TIDY) $< -- $(TOOL_FLAGS)
	touch $@
build/tidy:
	mkdir -p $@

clean:
	rm -rf build dist gen native/build
