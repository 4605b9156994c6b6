/*
 * A vif by which nothing gets through is dormant in its namespace: when, by a clock of ours; and with real kernels what
 * becomes of it, and that FRR in the virtual node goes another way.
 *
 *   hp - P ══ wire 0: link `a` ══ M - hm
 *          ══ wire 1: link `b` ══
 */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { silentLogger } from '../../src/api/log.js';
import { type Agent } from '../../src/node/agent.js';
import { Dormancy, DORMANT_AFTER } from '../../src/node/dormancy.js';
import { senderOf } from '../../src/node/sender-process.js';
import {
  addMachine,
  address,
  addStation,
  addWire,
  apply,
  deliver,
  inside,
  ip,
  netns,
  node,
  port,
  type Resource,
  startAgent,
  sweep,
  tunnel,
  until,
  vifName,
} from './machines.js';
import { Frr, missing, titled } from './speakers.js';

describe('when', () => {
  const VIF = 'vns/v/nodes/n/vifs/x';
  const asked: [string, boolean][] = [];
  let known = new Set<string>();
  let dormancy: Dormancy;

  beforeEach(() => {
    vi.useFakeTimers();
    asked.length = 0;
    known = new Set([VIF]);
    dormancy = new Dormancy({
      isVif: (name) => known.has(name),
      set: (name, dormant) => {
        asked.push([name, dormant]);
        return Promise.resolve(true);
      },
      log: silentLogger,
      failed: (error) => {
        throw error;
      },
    });
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  const tell = (state: string | undefined, name = VIF): void => dormancy.tell([{ name, state }]);

  test('it has not been up for so long, whatever the reason was meanwhile', async () => {
    tell('no liveness');
    await vi.advanceTimersByTimeAsync(DORMANT_AFTER - 1);
    tell('tunnels/t: no route');
    expect(asked).toEqual([]);
    await vi.advanceTimersByTimeAsync(1);
    expect(asked).toEqual([[VIF, true]]);
  });

  test('up meanwhile: from the beginning', async () => {
    tell('no liveness');
    await vi.advanceTimersByTimeAsync(DORMANT_AFTER - 1);
    tell('up');
    tell('no liveness');
    await vi.advanceTimersByTimeAsync(DORMANT_AFTER - 1);
    expect(asked).toEqual([[VIF, false]]);
    await vi.advanceTimersByTimeAsync(1);
    expect(asked).toEqual([
      [VIF, false],
      [VIF, true],
    ]);
  });

  test('up again: at once', async () => {
    tell('no liveness');
    await vi.advanceTimersByTimeAsync(DORMANT_AFTER);
    tell('up');
    await vi.advanceTimersByTimeAsync(0);
    expect(asked.at(-1)).toEqual([VIF, false]);
  });

  test('its device is made anew while it is dormant: so is the new one', async () => {
    tell('no liveness');
    await vi.advanceTimersByTimeAsync(DORMANT_AFTER);
    tell('no device');
    tell('no liveness');
    await vi.advanceTimersByTimeAsync(0);
    expect(asked).toEqual(Array.from({ length: 3 }, () => [VIF, true]));
  });

  test('gone, or no vif at all: nothing', async () => {
    tell('no liveness');
    tell(undefined);
    tell('no route', 'tunnels/t');
    await vi.advanceTimersByTimeAsync(2 * DORMANT_AFTER);
    expect(asked).toEqual([]);
    tell('no liveness');
    known.clear();
    await vi.advanceTimersByTimeAsync(2 * DORMANT_AFTER);
    expect(asked).toEqual([]);
  });

  test('closed: no more', async () => {
    tell('no liveness');
    await dormancy.close();
    await vi.advanceTimersByTimeAsync(2 * DORMANT_AFTER);
    expect(asked).toEqual([]);
  });
});

describe('between two machines', { timeout: 60_000 }, () => {
  type End = 'P' | 'M';
  const LINKS = ['a', 'b'] as const;
  type LinkName = (typeof LINKS)[number];
  const LABELS = { a: { P: 1000, M: 1001 }, b: { P: 2000, M: 2001 } };
  const KERNEL = 2;
  const noFrr = missing('frr');
  const agents = new Map<End, Agent>();

  const within = (end: End): string => netns(`${end}.iptv.${end}`);
  const far = (end: End): End => (end === 'P' ? 'M' : 'P');

  function wanted(end: End): Resource[] {
    const k = end === 'P' ? 0 : 1;
    const links = LINKS.flatMap((name, i): Resource[] => {
      const below = `tunnels/w${i}`;
      const liveness = { label: LABELS[name][end], ...{ minTxUs: 50_000, minRxUs: 50_000 } };
      const path = {
        ...{ tunnel: below, label: LABELS[name][far(end)] },
        liveness: { ...liveness, multiplier: 3, restoreMs: 1 },
      };
      return [
        tunnel(`w${i}`, `100.64.0.${2 * i + k}`, `100.64.0.${2 * i + 1 - k}`),
        { vif: { name: vifName(`iptv/${end}/${name}`), link: { paths: [path], protection: 1 } } },
        deliver({ tunnel: `w${i}`, label: LABELS[name][end] }, `iptv/${end}/${name}`),
      ];
    });
    return [
      ...links,
      node('iptv', end, 'iptv', KERNEL),
      port(`iptv/${end}/station`, end === 'P' ? 'st-hp' : 'st-hm'),
    ];
  }

  /** As the namespace of the virtual node has it. */
  function device(end: End, name: string): { state: string; carrier: boolean } {
    const { output } = inside(within(end), 'ip', '-j', 'link', 'show', 'dev', name);
    const [found] = JSON.parse(output) as { operstate: string; flags: string[] }[];
    return { state: found?.operstate ?? '', carrier: found?.flags.includes('LOWER_UP') ?? false };
  }

  const isDormant = (end: End, name: string): boolean => device(end, name).state === 'DORMANT';

  async function dormant(name: string, expected: boolean, ends: readonly End[] = ['P', 'M']): Promise<void> {
    for (const end of ends)
      await until(
        `${name} at ${end} is ${expected ? '' : 'not '}dormant`,
        () => isDormant(end, name) === expected,
      );
  }

  const setWire = (name: LinkName, up: boolean): void => {
    ip('-n', netns('P'), 'link', 'set', name === 'a' ? 'to-M' : 'to-Mb', up ? 'up' : 'down');
  };

  /** M's sender, and nothing else, stands still meanwhile. */
  async function silently(work: () => Promise<void>): Promise<void> {
    const agent = agents.get('M');
    const sender = agent && senderOf(`${agent.options.pinDir}/maps`);
    if (sender === undefined) throw new Error('nobody sends');
    process.kill(sender, 'SIGSTOP');
    try {
      await work();
    } finally {
      process.kill(sender, 'SIGCONT');
    }
  }

  beforeAll(async () => {
    sweep();
    addMachine('P', '100.127.0.1', 'fd64:ffff::1');
    addMachine('M', '100.127.0.3', 'fd64:ffff::3');
    addWire('P', 'M', 0);
    addWire('P', 'M', 1, 1600, 'b');
    addStation('P', 'hp', 'st-hp', ['10.0.1.2/24']);
    addStation('M', 'hm', 'st-hm', ['10.0.3.2/24']);
    for (const end of ['P', 'M'] as const) {
      const agent = await startAgent(end);
      agents.set(end, agent);
      await apply(agent, 'one', wanted(end));
      const k = end === 'P' ? 1 : 2;
      await apply(agent, 'iptv', [
        address(`iptv/${end}/station`, `10.0.${end === 'P' ? 1 : 3}.1/24`),
        address(`iptv/${end}/a`, `10.1.0.${k}/30`),
        address(`iptv/${end}/b`, `10.2.0.${k}/30`),
      ]);
    }
    // M answers by both; only P's choice is FRR's
    const back = ['route', 'add', '10.0.1.0/24', 'nexthop', 'via', '10.1.0.1', 'nexthop', 'via', '10.2.0.1'];
    ip('-n', within('M'), ...back);
  }, 60_000);

  afterAll(async () => {
    for (const agent of agents.values()) await agent.close();
    sweep();
  });

  afterEach(async () => {
    for (const name of LINKS) setWire(name, true);
    for (const name of LINKS) await dormant(name, false);
  });

  test('the wire is cut: the link is, at both ends, and the other one is not; and back', async () => {
    await dormant('a', false);
    setWire('a', false);
    await dormant('a', true);
    expect(isDormant('P', 'b') || isDormant('M', 'b')).toBe(false);
    // the carrier is there all the same, and the kernel's own routes stay
    expect(device('P', 'a').carrier).toBe(true);
    expect(inside(within('P'), 'ip', 'route', 'get', '10.1.0.2').output).toContain('dev a');
    setWire('a', true);
    await dormant('a', false);
    expect(device('P', 'a').state).toBe('UP');
  });

  test('silence: only the sender at the far end says no more', async () => {
    await silently(async () => {
      for (const name of LINKS) await dormant(name, true, ['P']);
    });
    for (const name of LINKS) await dormant(name, false, ['P']);
  });

  test('set down and up in its namespace, it is dormant still', async () => {
    setWire('a', false);
    await dormant('a', true);
    ip('-n', within('P'), 'link', 'set', 'dev', 'a', 'down');
    await until('it is down', () => device('P', 'a').state === 'DOWN');
    ip('-n', within('P'), 'link', 'set', 'dev', 'a', 'up');
    await dormant('a', true, ['P']);
    ip('-n', within('P'), 'address', 'replace', '10.1.0.1/30', 'dev', 'a');
  });

  test('a station’s cable loses its carrier', async () => {
    const cable = ['-n', netns('st.hp'), 'link', 'set', 'eth0'];
    ip(...cable, 'down');
    await dormant('station', true, ['P']);
    ip(...cable, 'up');
    await dormant('station', false, ['P']);
    ip('-n', netns('st.hp'), 'route', 'replace', 'default', 'via', '10.0.1.1');
  });

  test('an agent that was away finds what has come back', async () => {
    await silently(async () => {
      for (const name of LINKS) await dormant(name, true, ['P']);
      await agents.get('P')?.close();
    });
    await dormant('a', false, ['M']);
    expect(isDormant('P', 'a')).toBe(true);
    agents.set('P', await startAgent('P'));
    for (const name of LINKS) await dormant(name, false, ['P']);
  });

  test.skipIf(noFrr)(titled('FRR goes another way, and comes back', noFrr), async () => {
    const routes = ['ip route 10.0.3.0/24 10.1.0.2 10', 'ip route 10.0.3.0/24 10.2.0.2 20'];
    const frr = new Frr('P.iptv.P', routes, 'staticd');
    const by = (name: string): boolean =>
      inside(within('P'), 'ip', 'route', 'show', '10.0.3.0/24').output.includes(`dev ${name} `);
    const reaches = (): boolean =>
      inside(netns('st.hp'), 'ping', '-c', '1', '-W', '1', '10.0.3.2').status === 0;
    await frr.start();
    try {
      await until('by the first link', () => by('a'));
      await until('it reaches', reaches);
      setWire('a', false);
      await until('by the second link', () => by('b'));
      await until('it reaches', reaches);
      setWire('a', true);
      await until('by the first link again', () => by('a'));
      await until('it reaches', reaches);
    } finally {
      await frr.close();
    }
  });
});
