/*
 * Every object, by every compiler that is supported: built by `make bpf-all`, verified and loaded by this kernel.
 * In CI both compilers must be there; elsewhere a missing one is a SKIP.
 */
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { BpfObject } from '../../native/lib/index.js';

const folder = fileURLToPath(new URL('../../build/bpf', import.meta.url));
const data = ['cabernet_port', 'cabernet_vif', 'cabernet_egress'];
const programs: Readonly<Record<string, readonly string[]>> = {
  cabernet: data,
  'cabernet-trace': ['cabernet_trace'],
  'cabernet-test': [...data, 'cabernet_egress_test'],
  'cabernet-jumbo': data,
  'cabernet-jumbo-trace': ['cabernet_trace'],
  'cabernet-jumbo-test': [...data, 'cabernet_egress_test'],
};

describe.each(['clang-14', 'clang-19'])('%s', (compiler) => {
  test.for(Object.keys(programs))('%s loads', async (name, { skip }) => {
    const path = `${folder}/${compiler}/${name}.o`;
    skip(
      !existsSync(path) && process.env['CI'] === undefined,
      `${compiler}/${name}.o is not built: make bpf-all`,
    );
    const object = BpfObject.open(path);
    try {
      await object.load();
      for (const program of programs[name] ?? []) {
        const loaded = object.program(program);
        expect(loaded.statistics().verifiedInstructions, program).toBeGreaterThan(10);
        loaded.close();
      }
    } finally {
      object.close();
    }
  });
});
