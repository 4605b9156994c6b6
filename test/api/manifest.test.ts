import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { cabernet } from '../../gen/cabernet.js';
import {
  formatManifest,
  ManifestError,
  parseManifest,
  readManifest,
  toJson,
} from '../../src/api/manifest.js';
import { type Message, messageType } from '../../src/api/message.js';
import { v1 } from '../../src/api/node.js';
import { draftOf } from './arbitrary.js';
import { failure, temporaryFolder } from './support.js';

const World = messageType(cabernet.world.v1.World);
const Begin = messageType(v1.ApplyBegin);
const Res = messageType(v1.Resource);
const Sample = messageType(v1.DropSample);

/** The problems of a text, as `line:column path: message`. */
function problems<P>(type: Parameters<typeof parseManifest<P>>[0], text: string): string[] {
  try {
    parseManifest(type, text, 'w.yaml');
  } catch (error) {
    if (!(error instanceof ManifestError)) throw error;
    return error.problems.map(({ line, column, path, message }) => `${line}:${column} ${path}: ${message}`);
  }
  return [];
}

const problem = (text: string): string => problems(World, text).join('\n');

describe('reading', () => {
  test('a world, by either spelling of a field, in YAML and in JSON', () => {
    const expected: Message<typeof World.decode extends (b: never) => infer M ? M : never> | object = {
      name: 'figure2',
      machines: [{ name: 'P', provider: 'one', addresses: ['100.127.0.1', 'fd64:ffff::1'] }],
      networks: [
        {
          name: 'iptv',
          owner: '',
          over: 'conn',
          nodes: [],
          links: [],
          linkPools: ['10.255.0.0/16'],
          routeSource: 2,
        },
      ],
      wires: [],
      stations: [],
      jumbo: false,
    };
    const yaml = `
# a comment
name: figure2
machines:
  - name: P
    provider: one
    addresses: [100.127.0.1, "fd64:ffff::1"]
networks:
- {name: iptv, over: conn, link_pools: [10.255.0.0/16], routeSource: ROUTE_SOURCE_KERNEL}
`;
    expect(parseManifest(World, yaml, 'w.yaml').value).toEqual(expected);
    const json = JSON.stringify(toJson(World, parseManifest(World, yaml, 'w').value));
    expect(parseManifest(World, json, 'w.json').value).toEqual(expected);
    expect(parseManifest(World, yaml.replaceAll('\n', '\r\n'), 'w.yaml').value).toEqual(expected);
    expect(parseManifest(World, `\ufeff${yaml}`, 'w.yaml').value).toEqual(expected);
  });

  test('an IPv6 address and a MAC need no quotes', () => {
    const { value } = parseManifest(Res, 'vif: {name: a, mac: 02:00:00:00:00:01}', 'r');
    expect(value).toMatchObject({ kind: 'vif', vif: { mac: '02:00:00:00:00:01' } });
    expect(parseManifest(Res, 'address:\n  prefix: fd00::1/64\n', 'r').value).toMatchObject({
      address: { prefix: 'fd00::1/64' },
    });
    expect(parseManifest(Res, 'route:\n  destination: ::/0\n', 'r').value).toMatchObject({
      route: { destination: '::/0' },
    });
  });

  test.each([
    ['18446744073709551615', 2n ** 64n - 1n],
    ['"18446744073709551615"', 2n ** 64n - 1n],
    ['9007199254740993', 2n ** 53n + 1n],
    ['0x10', 16n],
    ['0', 0n],
    ['"7"', 7n],
  ])('64-bit number %s', (text, epoch) => {
    expect(parseManifest(Begin, `epoch: ${text}`, 'm').value.epoch).toBe(epoch);
  });

  test.each([
    '18446744073709551616',
    '-1',
    '1.0',
    '1e3',
    '"1e3"',
    '" 1"',
    '"0x10"',
    'true',
    '.inf',
    '"007"',
    '[1]',
    'five',
    '""',
  ])('no 64-bit number: %s', (text) => {
    expect(problems(Begin, `epoch: ${text}`).join()).toMatch(
      /^1:8 epoch: expected a whole number from 0 to 18446744073709551615, but this is /,
    );
  });

  test.each(['aGVsbG8=', 'aGVsbG8', '-_8=', '+/8', '""'])('bytes %s', (text) => {
    expect(problems(Sample, `frame: ${text}`)).toEqual([]);
  });

  test.each(['aGVsbG8=====', 'a', 'aGVsbG9=', 'hello world', 'a=b', '5', 'aGVsbG8=='])(
    'no bytes: %s',
    (text) => {
      expect(problems(Sample, `frame: ${text}`).join()).toContain('frame: expected bytes in base64');
    },
  );
});

describe('problems', () => {
  test('name file, line, column and path, all of them at once', () => {
    const text = `name: w
machines:
  - name: P
  - name: 5
    provider: one
  - nmae: Q
wires:
  - a: P
    b: Q
    mtu: big
networks: [{name: n, routeSource: KERNEL}]
`;
    expect(problems(World, text)).toEqual([
      '4:11 machines[1].name: expected a text, but this is the number 5; write "5"',
      '6:5 machines[2].nmae: Machine has no field nmae; did you mean name?',
      '10:10 wires[0].mtu: expected a whole number from 0 to 4294967295, but this is the text "big"',
      '11:35 networks[0].routeSource: the text "KERNEL" is no RouteSource; did you mean ROUTE_SOURCE_KERNEL?',
    ]);
    expect(() => parseManifest(World, text, 'figure2.yaml')).toThrow(
      'figure2.yaml:4:11: machines[1].name: expected a text, but this is the number 5; write "5"\nfigure2.yaml:6:5: ',
    );
  });

  test.each([
    ['', '1:1 : expected a mapping with the fields of World, but this is empty'],
    ['- a', '1:1 : expected a mapping with the fields of World, but this is a list'],
    ['text', '1:1 : expected a mapping with the fields of World, but this is the text "text"'],
    ['name: [a]', '1:7 name: expected a text, but this is a list'],
    ['name: true', '1:7 name: expected a text, but this is true; write "true"'],
    ['name: 1.10', '1:7 name: expected a text, but this is the number 1.10; write "1.10"'],
    ['name:', '1:6 name: empty; leave name out, or give it a text'],
    ['name: ~', '1:7 name: empty; leave name out, or give it a text'],
    [
      'machines:',
      '1:10 machines: expected a list, each element a mapping with the fields of Machine, but this is empty',
    ],
    [
      'machines: {name: P}',
      '1:11 machines: expected a list, each element a mapping with the fields of Machine, but this is a mapping; begin each element with "- "',
    ],
    [
      'machines: [P]',
      '1:12 machines[0]: expected a mapping with the fields of Machine, but this is the text "P"',
    ],
    ['machines: [~]', '1:12 machines[0]: expected a mapping with the fields of Machine, but this is empty'],
    ['name: a\nname: b', '2:1 name: given a second time; the first is in line 1'],
    [
      'networks: [{linkPools: [], link_pools: []}]',
      '1:28 networks[0].linkPools: given a second time, as linkPools and link_pools',
    ],
    [
      'networks: [{routeSource: 7}]',
      '1:26 networks[0].routeSource: the number 7 is no RouteSource; it has ROUTE_SOURCE_UNSPECIFIED, ROUTE_SOURCE_CONTROLLER, ROUTE_SOURCE_KERNEL',
    ],
    [
      'wires: [{mtu: -1}]',
      '1:15 wires[0].mtu: expected a whole number from 0 to 4294967295, but this is the number -1',
    ],
    [
      'wires: [{mtu: 4294967296}]',
      '1:15 wires[0].mtu: expected a whole number from 0 to 4294967295, but this is the number 4294967296',
    ],
    ['name: "\\ud800"', '1:7 name: half of a UTF-16 pair stands alone; write the whole character'],
    ['name: &a w', '1:10 name: &a is an anchor; leave it out and write the value where it is used'],
    ['name: !!str 5', '1:13 name: tag:yaml.org,2002:str is a tag; leave it out'],
    ['name: a\n---\nname: b', '2:1 : a second document begins; one file holds one'],
    ['%YAML 1.1\n---\nname: yes', '1:1 : the file asks for another YAML; only 1.2 is read'],
    [
      '__proto__: {name: x}',
      '1:1 __proto__: World has no field __proto__; it has name, machines, wires, networks, stations, jumbo',
    ],
    [
      'constructor: x',
      '1:1 constructor: World has no field constructor; it has name, machines, wires, networks, stations, jumbo',
    ],
  ])('%j', (text, expected) => {
    expect(problem(text)).toBe(expected);
  });

  test.each([
    'a: *b',
    '<<: {name: x}',
    'name: *a',
    '? [a]\n: b',
    'name: "a',
    'name: a: b',
    '\tname: a',
    'machines: [',
    '\0',
    '@',
    'name: !!js/function x',
  ])('is refused: %j', (text) => {
    expect(problem(text)).toMatch(/^\d+:\d+ /);
  });

  test('a oneof given twice', () => {
    const text =
      'label:\n  tunnel: tunnels/a\n  label: 17\n  vif: v\n  deliver: x\n  swap: {vif: a, tunnel: b}\n';
    expect(problems(Res, text)).toEqual([
      '4:3 label.vif: tunnel is given too; give one of tunnel, vif, wire',
      '6:3 label.swap: deliver is given too; give one of deliver, swap, continueOn',
    ]);
  });

  test('a bomb of aliases and a text nested deeply', () => {
    const bomb = ['a: &a [x]', ...Array.from({ length: 40 }, (_, i) => `k${i}: &k${i} [*a, *a]`)].join('\n');
    expect(problem(bomb)).toMatch(/^1:1 a: World has no field a/);
    expect(problem('['.repeat(200_000))).toMatch(/nested too deeply|Flow/);
    expect(problem(`machines: ${'['.repeat(5000)}${']'.repeat(5000)}`)).toMatch(/\d+:\d+ /);
    expect(problem(`name: ${'x'.repeat(17 * 1024 * 1024)}`)).toMatch(/is the most/);
  });

  test('hundreds of problems end the reading', () => {
    const text = Array.from({ length: 5000 }, (_, i) => `k${i}: x`).join('\n');
    let message = '';
    try {
      parseManifest(World, text, 'w');
    } catch (error) {
      expect((error as ManifestError).problems).toHaveLength(100);
      ({ message } = error as Error);
    }
    expect(message.split('\n')).toHaveLength(21);
  });

  test('later checks can point into the file', () => {
    const text = 'name: w\nnetworks:\n  - name: a\n    link_pools: [x]\n    links:\n      - {a: P, b: Q}\n';
    const manifest = parseManifest(World, text, 'w.yaml');
    expect(manifest.locate('networks[0].links[0].b')).toEqual({ line: 6, column: 19 });
    expect(manifest.locate('networks[0].linkPools[0]')).toEqual({ line: 4, column: 18 });
    expect(manifest.locate('networks[0].links[0].mtu')).toEqual({ line: 6, column: 9 });
    expect(manifest.locate('networks[7]')).toEqual({ line: 3, column: 3 });
    expect(manifest.locate('')).toEqual({ line: 1, column: 1 });
    expect(manifest.problem('networks[0].links[0].b', 'no such node').message).toBe(
      'w.yaml:6:19: networks[0].links[0].b: no such node',
    );
  });

  test('a file that is no text', async () => {
    const folder = temporaryFolder();
    try {
      const file = join(folder.path, 'w.yaml');
      writeFileSync(file, Buffer.of(0x6e, 0xff, 0xfe));
      expect(await failure(readManifest(World, file))).toMatchObject({
        message: `${file}:1:1: the file is not UTF-8 text`,
      });
      writeFileSync(file, 'name: w\n');
      expect((await readManifest(World, file)).value.name).toBe('w');
      expect(await failure(readManifest(World, join(folder.path, 'none')))).toMatchObject({ code: 'ENOENT' });
    } finally {
      folder.remove();
    }
  });

  test('any text is read or refused, never a fault', () => {
    const piece = fc.oneof(
      fc.constantFrom(
        'name',
        'machines',
        'label',
        ': ',
        '\n',
        '  ',
        '- ',
        '[',
        ']',
        '{',
        '}',
        ', ',
        '"',
        "'",
        '|',
        '>',
        '&a ',
        '*a',
        '!!str ',
        '? ',
        '# ',
        '---\n',
        '%',
        '~',
        '0x',
        '5',
        'true',
        '\t',
        '<<',
      ),
      fc.string({ maxLength: 6, unit: 'binary' }),
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 30 }), (pieces) => {
        problems(World, pieces.join(''));
      }),
      { numRuns: 2000 },
    );
  });
});

describe('writing', () => {
  test('is ProtoJSON, and leaves defaults out', () => {
    const sample = { timeNs: 2n ** 60n, frame: Uint8Array.of(255, 254), length: 0 };
    expect(toJson(Sample, sample)).toEqual({ timeNs: '1152921504606846976', frame: '//4=' });
    expect(toJson(Sample, sample, { defaults: true })).toEqual({
      timeNs: '1152921504606846976',
      node: '',
      reason: '',
      interface: '',
      length: 0,
      frame: '//4=',
    });
    expect(toJson(Res, { route: { type: v1.RouteType.ROUTE_TYPE_BLACKHOLE } })).toEqual({
      route: { type: 'ROUTE_TYPE_BLACKHOLE' },
    });
    expect(toJson(Res, { vif: { port: {} } })).toEqual({ vif: { port: {} } });
  });

  test('is read back to the same message', () => {
    for (const generated of [
      v1.Resource,
      v1.GetMachineResponse,
      v1.DropSample,
      v1.TraceResponse,
      cabernet.world.v1.World,
    ]) {
      const type = messageType(generated as typeof v1.Resource);
      fc.assert(
        fc.property(draftOf(type), fc.boolean(), (draft, defaults) => {
          const text = formatManifest(type, draft, { defaults });
          const back = parseManifest(type, text, 'm').value;
          expect(type.encode(back).equals(type.encode(draft))).toBe(true);
        }),
        { numRuns: 100 },
      );
    }
  });

  test('YAML for people', () => {
    expect(
      formatManifest(World, {
        name: 'w',
        machines: [{ name: 'P', provider: 'one' }],
        wires: [{ a: 'P', b: 'Q', mtu: 1600 }],
      }),
    ).toBe('name: w\nmachines:\n  - name: P\n    provider: one\nwires:\n  - a: P\n    b: Q\n    mtu: 1600\n');
  });
});
