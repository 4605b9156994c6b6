import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Message } from '../../src/api/message.js';
import { v1 } from '../../src/api/node.js';
import { type cabernet } from '../../gen/cabernet.js';
import { address, inside, ip, netns, node, port, route, sweep, until, vifName } from './machines.js';
import { applyTo, client, endAll, start } from './processes.js';
import { buildThree, MACHINES, OWNERS, three } from './three.js';

type Event = Message<cabernet.node.v1.WatchResponse>;
type Trace = Message<cabernet.node.v1.TraceResponse>;

beforeAll(async () => {
  sweep();
  buildThree();
  await Promise.all(MACHINES.map(start));
  const wanted = three(4);
  for (const owner of OWNERS) {
    for (const name of MACHINES) await applyTo(name, owner, wanted[name][owner] ?? []);
  }
});

afterAll(async () => {
  await endAll();
  sweep();
});

function ping(target: string, count = '2'): void {
  const { status, output } = inside(netns('st.hp'), 'ping', '-c', count, '-i', '0.1', '-W', '2', target);
  expect(status, output).toBe(0);
}

describe('reads', () => {
  test('the machine', async () => {
    const machine = await client('P').getMachine({});
    expect(machine).toMatchObject({ name: 'P', version: expect.stringMatching(/^\d+\.\d+/) as string });
    expect(machine.bootId).toMatch(/^[0-9a-f-]{36}$/);
    const rows = machine.interfaces.map(({ name, role, up, xdpMode, driver }) => [
      name,
      role,
      up,
      xdpMode,
      driver,
    ]);
    expect(rows).toContainEqual(['to-Q', 'underlay', true, 'native', 'veth']);
    expect(rows).toContainEqual(['st-hp', 'port', true, 'native', 'veth']);
    expect(rows.filter(([, role]) => role === 'vif')).toHaveLength(3);
    const tables = new Map(machine.tables.map((table) => [table.table, table]));
    expect(tables.get('vifs')).toMatchObject({ used: 3n });
    expect(tables.get('nodes')).toMatchObject({ used: 2n });
    expect(machine.owners.map(({ owner }) => owner).sort()).toEqual(['conn', 'iptv', 'one']);
  });

  test('nodes, vifs, tunnels, paths, labels', async () => {
    const p = client('P');
    const { virtualNodes } = await p.listVirtualNodes({});
    expect(virtualNodes.map((row) => [row.virtualNode?.name, row.owner, row.namespace, row.vifs])).toEqual([
      ['vns/conn/nodes/P', 'one', `${netns('P')}.conn.P`, 1],
      ['vns/iptv/nodes/P', 'conn', `${netns('P')}.iptv.P`, 2],
    ]);
    const { vifs } = await p.listVifs({ node: 'vns/iptv/nodes/P' });
    expect(vifs.map(({ vif, state }) => [vif?.name, state])).toEqual([
      [vifName('iptv/P/p-m'), 'up'],
      [vifName('iptv/P/station'), 'up'],
    ]);
    expect(vifs[1]?.addresses).toContain('10.0.1.1/24');
    expect(vifs[1]?.device).toMatch(/^cv[0-9a-z]+ st-hp$/);
    const { tunnels } = await p.listTunnels({});
    expect(tunnels).toMatchObject([
      {
        owner: 'one',
        state: 'up',
        hops: [
          {
            interface: 'to-Q',
            gateway: '100.64.0.1',
            weight: 1,
            mac: expect.stringMatching(/^..:/) as string,
          },
        ],
      },
    ]);
    const { paths } = await p.listPaths({});
    expect(paths.find(({ vif }) => vif === vifName('iptv/P/p-m'))).toMatchObject({
      owner: 'conn',
      state: 'up',
      below: [vifName('conn/P/p6'), 'tunnels/p-q', 'to-Q'],
    });
    const { labels } = await client('Q').listLabels({});
    expect(labels.map(({ label, owner }) => [label?.context, label?.label, label?.action, owner])).toEqual([
      ['tunnel', 4001, 'deliver', 'one'],
      ['tunnel', 1001, 'deliver', 'one'],
      ['vif', 5001, 'swap', 'conn'],
      ['vif', 6002, 'swap', 'conn'],
    ]);
  });

  test('routes by pages, neighbours, counters', async () => {
    const p = client('P');
    const whole = (await p.listRoutes({ node: 'vns/iptv/nodes/P' })).routes;
    const rows = whole.map(({ route: one, source }) => `${one?.destination} ${source}`);
    expect(rows).toContain('10.0.1.0/24 connected');
    expect(rows).toContain('10.0.1.1/32 local');
    expect(rows).toContain('10.0.3.0/24 controller');
    const pages: (typeof whole)[number][] = [];
    let pageToken = '';
    do {
      const page = await p.listRoutes({ node: 'vns/iptv/nodes/P', pageSize: 2, pageToken });
      expect(page.routes.length).toBeLessThanOrEqual(2);
      pages.push(...page.routes);
      pageToken = page.nextPageToken;
    } while (pageToken !== '');
    expect(pages).toEqual(whole);
    await expect(p.listRoutes({ node: 'vns/none/nodes/P' })).rejects.toMatchObject({
      reason: 'NODE_NOT_FOUND',
      operation: 'ListRoutes',
    });
    await expect(p.listVifs({ pageToken: 'nonsense' })).rejects.toMatchObject({
      reason: 'PAGE_TOKEN_INVALID',
    });

    ping('10.0.3.2');
    const { neighbours } = await p.listNeighbours({ node: 'vns/iptv/nodes/P' });
    expect(neighbours.find((one) => one.address === '10.0.1.2')).toMatchObject({
      vif: vifName('iptv/P/station'),
      mac: expect.stringMatching(/^..:/) as string,
    });
    const count = async (name: string): Promise<bigint> => {
      const { counters } = await p.listCounters({});
      return counters.find((one) => one.name === name)?.sentPackets ?? -1n;
    };
    const path = `${vifName('iptv/P/p-m')}/paths/0`;
    const before = await count(path);
    ping('10.0.3.2', '5');
    expect((await count(path)) - before).toBeGreaterThanOrEqual(5n);
    expect(await count(vifName('iptv/P/p-m'))).toBe(await count(path));
  });

  test('drops, with samples', async () => {
    inside(netns('st.hp'), 'ping', '-c', '1', '-W', '1', '10.99.0.1');
    const { drops, samples } = await client('P').listDrops({ samples: 10 });
    expect(drops.find(({ reason }) => reason === 'no_route')).toMatchObject({ node: 'vns/iptv/nodes/P' });
    const sample = samples.findLast(({ reason }) => reason === 'no_route');
    expect(sample).toMatchObject({ node: 'vns/iptv/nodes/P', interface: 'st-hp', length: 98 });
    expect(Number(BigInt(Date.now()) - (sample?.timeNs ?? 0n) / 1_000_000n)).toBeLessThan(5000);
  });

  test('what stands in the way', async () => {
    const { findings } = await client('P').diagnose({});
    const about = (subject: string): string[] =>
      findings.filter((one) => one.subject === subject).map(({ severity, text }) => `${severity}: ${text}`);
    expect(about('kernel')[0]).toMatch(/^ok: Linux/);
    expect(about('interface to-Q').join('\n')).toContain('ok: native XDP by veth');
    expect(about('tunnels/p-q')).toEqual(['ok: up, to 100.127.0.2']);
    expect(findings.filter(({ severity }) => severity === 'error')).toEqual([]);
  });
});

describe('tracing', () => {
  const probe = { vif: vifName('iptv/P/station'), sourceAddress: '10.0.1.2', destinationAddress: '10.0.3.2' };

  test('a frame goes through every layer of every machine', async () => {
    ping('10.0.3.2');
    // a flow that nobody sent before: the cache does not know it
    const fresh = { ...probe, sourceAddress: '10.0.1.77' };
    let step: Trace = await client('P').trace({ start: 'probe', probe: fresh });
    expect(step).toMatchObject({
      verdict: 'forwarded',
      tunnelRemoteAddress: '100.127.0.2',
      egressInterface: 'to-Q',
    });
    const lookups = (one: Trace): string[] => one.steps.map(({ lookup }) => lookup);
    expect(lookups(step)).toEqual(
      expect.arrayContaining(['port', 'mac', 'ipv4', 'next hop', 'vif', 'path', 'adjacency']) as string[],
    );
    const added = step.steps.reduce((sum, { bytes }) => sum + bytes, 0);
    expect(step.egressFrame.length).toBe(98 + added);
    expect(added).toBe(14 + 20 + 8 + 4 + 4 + 4);

    step = await client('Q').trace({ start: 'frame', frame: { frame: step.egressFrame } });
    expect(step).toMatchObject({ verdict: 'forwarded', tunnelRemoteAddress: '100.127.0.3' });
    const labels = step.steps.filter(({ lookup }) => lookup === 'label').map(({ result }) => result);
    expect(labels).toEqual([`deliver to ${vifName('conn/Q/q2')}`, 'swap']);
    expect(step.steps.some(({ node: at }) => at.startsWith('vns/iptv/'))).toBe(false);

    step = await client('M').trace({ start: 'frame', frame: { frame: step.egressFrame } });
    expect(step).toMatchObject({
      verdict: 'delivered',
      egressInterface: 'st-hm',
      vif: vifName('iptv/M/station'),
    });
    expect(step.egressFrame.length).toBe(98);
  });

  test('what is punted or dropped says why', async () => {
    const to = (destinationAddress: string, more: object = {}): Promise<Trace> =>
      client('P').trace({ start: 'probe', probe: { ...probe, destinationAddress, ...more } });
    expect(await to('10.0.1.1')).toMatchObject({ verdict: 'punted', reason: 'local', vif: probe.vif });
    expect(await to('10.0.3.2', { ttl: 1 })).toMatchObject({ verdict: 'punted', reason: 'ttl' });
    expect(await to('10.99.0.1')).toMatchObject({ verdict: 'punted', reason: 'unreachable' });
    expect(await to('10.0.3.2', { length: 1501 })).toMatchObject({ verdict: 'punted', reason: 'too_big' });
    const forged = new Uint8Array(60);
    forged.set([0x45], 14);
    expect(
      await client('P').trace({ start: 'frame', frame: { interface: 'to-Q', frame: forged } }),
    ).toMatchObject({
      verdict: 'passed',
    });
  });

  test('it does not count', async () => {
    /* what came by the port to be forwarded: neighbours may be probed meanwhile, and their answers are punted */
    const forwarded = async (): Promise<bigint> => {
      const { counters } = await client('P').listCounters({});
      const port = counters.find(({ name }) => name === probe.vif);
      return (port?.receivedPackets ?? 0n) - (port?.puntedPackets ?? 0n);
    };
    const before = await forwarded();
    for (let i = 0; i < 5; i++) await client('P').trace({ start: 'probe', probe });
    expect(await forwarded()).toBe(before);
  });

  test.each([
    ['VIF_NOT_FOUND', { ...probe, vif: 'vns/x/nodes/y/vifs/z' }],
    ['NOT_A_PORT', { ...probe, vif: vifName('iptv/P/p-m') }],
    ['ADDRESS', { ...probe, sourceAddress: 'x' }],
    ['ADDRESS', { ...probe, sourceAddress: 'fd00::1' }],
    ['LENGTH', { ...probe, length: 20 }],
    ['LENGTH', { ...probe, length: 65536 }],
    ['TTL', { ...probe, ttl: 256 }],
  ])('%s', async (reason, wrong) => {
    await expect(client('P').trace({ start: 'probe', probe: wrong })).rejects.toMatchObject({ reason });
  });
});

describe('streams of answers', () => {
  test('capture shows frames as they enter and leave', async () => {
    const end = new AbortController();
    const packets: string[] = [];
    const reading = (async () => {
      const point = { point: 'node', node: 'vns/iptv/nodes/P' } as const;
      for await (const { packets: some } of client('P').capture(point, { signal: end.signal })) {
        for (const { point: at, direction, length } of some) packets.push(`${at} ${direction} ${length}`);
      }
    })().catch(() => undefined);
    await until('frames come', () => {
      inside(netns('st.hp'), 'ping', '-c', '1', '-W', '1', '10.0.3.2');
      return packets.length >= 4;
    });
    end.abort();
    await reading;
    expect(packets).toContain(`${vifName('iptv/P/station')} in 98`);
    expect(packets).toContain(`${vifName('iptv/P/p-m')} out 98`);
    expect(packets).toContain(`${vifName('iptv/P/p-m')} in 98`);
    expect(packets).toContain(`${vifName('iptv/P/station')} out 98`);
  });

  test('capture of a wire, of what is dropped, of nothing', async () => {
    const read = async (request: Parameters<ReturnType<typeof client>['capture']>[0]): Promise<string> => {
      for await (const { packets } of client('P').capture(request)) {
        const [first] = packets;
        if (first) return `${first.point} ${first.direction} ${first.reason} ${first.frame.length}`;
      }
      return 'ended';
    };
    const captured = read({ point: 'interface', interface: 'to-Q', snapLength: 60 });
    const dropped = read({ point: 'vif', vif: vifName('iptv/P/station') });
    const pinging = setInterval(
      () => void inside(netns('st.hp'), 'ping', '-c', '1', '-W', '1', '10.0.3.2'),
      200,
    );
    expect(await captured).toMatch(/^to-Q (in|out) {2}60$/);
    expect(await dropped).toMatch(/station in/);
    clearInterval(pinging);
    await expect(read({ point: 'interface', interface: 'lo' })).rejects.toMatchObject({
      reason: 'INTERFACE_NOT_FOUND',
    });
    await expect(read({ point: 'vif', vif: 'vns/x/nodes/y/vifs/z' })).rejects.toMatchObject({
      reason: 'VIF_NOT_FOUND',
    });
    await expect(read({})).rejects.toMatchObject({ reason: 'POINT_MISSING' });
  });

  test('watch tells the present, then what changes', async () => {
    const { EventType } = v1;
    const events: Event[] = [];
    const end = new AbortController();
    const reading = (async () => {
      for await (const event of client('P').watch({ includeCurrent: true }, { signal: end.signal }))
        events.push(event);
    })().catch(() => undefined);
    await until('it is in step', () => events.some(({ type }) => type === EventType.EVENT_TYPE_SYNCED));
    const current = events.filter(({ type }) => type === EventType.EVENT_TYPE_CURRENT);
    expect(current.map(({ name, state }) => `${name} ${state}`)).toEqual(
      expect.arrayContaining([
        'tunnels/p-q up',
        `${vifName('iptv/P/p-m')} up`,
        'vns/iptv/nodes/P up',
      ]) as string[],
    );
    const changed = (name: string, state: RegExp): boolean =>
      events.some(
        (one) => one.type === EventType.EVENT_TYPE_CHANGED && one.name === name && state.test(one.state),
      );
    ip('-n', netns('P'), 'link', 'set', 'to-Q', 'down');
    await until('the tunnel is down', () => changed('tunnels/p-q', /^(interface down|no route)$/));
    await until('and all above it', () => changed(vifName('iptv/P/p-m'), /^tunnels\/p-q: /));
    ip('-n', netns('P'), 'link', 'set', 'to-Q', 'up');
    ip('-n', netns('P'), 'route', 'replace', '100.127.0.2/32', 'via', '100.64.0.1');
    await until('all is up again', () => {
      const last = events.findLast(({ name }) => name === vifName('iptv/P/p-m'));
      return last?.state === 'up';
    });
    await applyTo('P', 'iptv', three(4).P['iptv'] ?? []);
    await until('the epoch is told', () =>
      events.some(({ type, owner }) => type === EventType.EVENT_TYPE_APPLIED && owner === 'iptv'),
    );
    end.abort();
    await reading;
  });
});

describe('an Apply', () => {
  test('keeps to the order of its stream', async () => {
    const p = client('P');
    const begin = { begin: { owner: 'iptv', epoch: 1000n } };
    await expect(p.apply([])).rejects.toMatchObject({ reason: 'STREAM_TRUNCATED', operation: 'Apply' });
    await expect(p.apply([{ commit: {} }])).rejects.toMatchObject({ reason: 'STREAM_ORDER' });
    await expect(p.apply([begin])).rejects.toMatchObject({ reason: 'STREAM_TRUNCATED' });
    await expect(p.apply([begin, begin])).rejects.toMatchObject({ reason: 'STREAM_ORDER' });
    await expect(p.apply([begin, {}])).rejects.toMatchObject({ reason: 'STREAM_ORDER' });
    await expect(p.apply([begin, { commit: {} }, { commit: {} }])).rejects.toMatchObject({
      reason: 'STREAM_ORDER',
    });
    await expect(p.apply([begin, { commit: { resourceCount: 1 } }])).rejects.toMatchObject({
      reason: 'STREAM_TRUNCATED',
      field: 'commit.resource_count',
    });
    await expect(p.apply([{ begin: { owner: 'X' } }])).rejects.toMatchObject({ reason: 'OWNER_NAME' });
    ping('10.0.3.2');
  });

  test('of an older epoch is refused, of the same one it is not', async () => {
    const iptv = three(4).P['iptv'] ?? [];
    await applyTo('P', 'iptv', iptv, { epoch: 2000n });
    await applyTo('P', 'iptv', iptv, { epoch: 2000n });
    await expect(applyTo('P', 'iptv', iptv, { epoch: 1999n })).rejects.toMatchObject({
      reason: 'EPOCH_STALE',
    });
    await applyTo('P', 'iptv', [], { epoch: 2001n, validateOnly: true });
    await applyTo('P', 'iptv', iptv, { epoch: 2000n });
    ping('10.0.3.2');
  });

  test('changes nothing when one of its resources is wrong', async () => {
    const before = await client('P').listVifs({});
    const wrong = [
      ...(three(4).P['conn'] ?? []),
      node('new', 'P', 'x'),
      port('new/P/a', 'st-new'),
      address('iptv/P/station', '10.7.0.1/24'),
    ];
    await expect(applyTo('P', 'conn', wrong, { epoch: 3000n })).rejects.toMatchObject({
      reason: 'NOT_TENANT',
      field: 'resources[6].address.vif',
    });
    expect(await client('P').listVifs({})).toEqual(before);
    ping('10.0.3.2');
  });

  test('that fails half way says where, and the next one goes on', async () => {
    const iptv = three(4).P['iptv'] ?? [];
    // a prefix that somebody else's device has already, so that the kernel refuses the gateway
    const wrong = [...iptv, route('iptv/P', '10.77.0.0/16', ['station', '10.78.0.1'])];
    ip('-n', `${netns('P')}.iptv.P`, 'address', 'add', '10.78.0.1/32', 'dev', 'lo');
    await expect(applyTo('P', 'iptv', wrong, { epoch: 4000n })).rejects.toMatchObject({
      reason: 'STEP_FAILED',
      message: expect.stringContaining('route 10.77.0.0/16') as string,
    });
    ping('10.0.3.2');
    // nobody else suffers from it
    const others = three(4).P;
    await applyTo('P', 'conn', others['conn'] ?? [], { epoch: 4000n });
    await applyTo('P', 'one', others['one'] ?? [], { epoch: 4000n });
    const { findings } = await client('P').diagnose({});
    expect(findings.some(({ subject, severity }) => subject === 'apply' && severity === 'error')).toBe(true);
    ip('-n', `${netns('P')}.iptv.P`, 'address', 'delete', '10.78.0.1/32', 'dev', 'lo');
    await applyTo('P', 'iptv', wrong, { epoch: 4000n });
    const { routes } = await client('P').listRoutes({ node: 'vns/iptv/nodes/P' });
    expect(routes.some(({ route: one }) => one?.destination === '10.77.0.0/16')).toBe(true);
    await applyTo('P', 'iptv', iptv, { epoch: 4001n });
    ping('10.0.3.2');
  });

  test('two at once take turns', async () => {
    const wanted = three(4).P;
    const results = await Promise.all([
      applyTo('P', 'one', wanted['one'] ?? [], { epoch: 5000n }),
      applyTo('P', 'conn', wanted['conn'] ?? [], { epoch: 5000n }),
      applyTo('P', 'iptv', wanted['iptv'] ?? [], { epoch: 5000n }),
    ]);
    for (const { created, updated, deleted } of results)
      expect({ created, updated, deleted }).toEqual({ created: 0, updated: 0, deleted: 0 });
  });

  test('a veth that was taken away is made again', async () => {
    ip('-n', `${netns('P')}.iptv.P`, 'link', 'delete', 'p-m');
    const up = async (): Promise<boolean> =>
      (await client('P').listVifs({})).vifs.every(({ state }) => state === 'up');
    const answers = (): boolean =>
      inside(netns('st.hp'), 'ping', '-c', '1', '-W', '1', '10.0.3.2').status === 0;
    await until('stations reach each other', answers);
    await until('all is up', up);
    expect(ip('-n', `${netns('P')}.iptv.P`, 'route', 'show', 'proto', '202')).toContain('10.0.3.0/24');
  });

  test('a lease taken back cuts what stood on it, and given again it is whole', async () => {
    const wanted = three(4).P;
    await applyTo('P', 'one', (wanted['one'] ?? []).slice(0, 2), { epoch: 6000n });
    const state = async (): Promise<string | undefined> =>
      (await client('P').listVifs({})).vifs.find(({ vif }) => vif?.name === vifName('iptv/P/p-m'))?.state;
    expect(await state()).toBe(`${vifName('conn/P/p6')} is not there`);
    expect(inside(netns('st.hp'), 'ping', '-c', '1', '-W', '1', '10.0.3.2').status).not.toBe(0);
    // and the tenants above may go on applying, or learn what they lost
    await expect(applyTo('P', 'conn', wanted['conn'] ?? [], { epoch: 6000n })).rejects.toMatchObject({
      reason: 'VIF_NOT_FOUND',
    });
    await applyTo('P', 'iptv', wanted['iptv'] ?? [], { epoch: 6000n });
    await applyTo('P', 'one', wanted['one'] ?? [], { epoch: 6001n });
    await until('it is up again', async () => (await state()) === 'up');
    await until(
      'stations reach each other',
      () => inside(netns('st.hp'), 'ping', '-c', '1', '-W', '1', '10.0.3.2').status === 0,
    );
  });
});
