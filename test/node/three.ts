/*
 * The smallest world with three layers: machines P - Q - M, a connectivity network over tunnels between them, a
 * service link P - M that Q swaps, stations hp and hm.
 */
import {
  addMachine,
  addStation,
  address,
  addWire,
  deliver,
  ip,
  link,
  netns,
  node,
  port,
  type Resource,
  route,
  swap,
  tunnel,
} from './machines.js';

export const MACHINES = ['P', 'Q', 'M'] as const;

export function buildThree(): void {
  addMachine('P', '100.127.0.1', 'fd64:ffff::1');
  addMachine('Q', '100.127.0.2', 'fd64:ffff::2');
  addMachine('M', '100.127.0.3', 'fd64:ffff::3');
  addWire('P', 'Q', 0);
  addWire('Q', 'M', 1);
  for (const [at, to, via, via6] of [
    ['P', 2, '100.64.0.1', 'fd64::1'],
    ['Q', 1, '100.64.0.0', 'fd64::'],
    ['Q', 3, '100.64.0.3', 'fd64::3'],
    ['M', 2, '100.64.0.2', 'fd64::2'],
  ] as const) {
    ip('-n', netns(at), 'route', 'add', `100.127.0.${to}/32`, 'via', via);
    ip('-n', netns(at), '-6', 'route', 'add', `fd64:ffff::${to}/128`, 'via', via6);
  }
  addStation('P', 'hp', 'st-hp', ['10.0.1.2/24', 'fd00:0:0:1::2/64']);
  addStation('M', 'hm', 'st-hm', ['10.0.3.2/24', 'fd00:0:0:3::2/64']);
}

export const HOSTS = {
  4: ['100.127.0.1', '100.127.0.2', '100.127.0.3'],
  6: ['fd64:ffff::1', 'fd64:ffff::2', 'fd64:ffff::3'],
} as const;

/** What each owner wants on each machine, tunnels of the given family. */
export function three(family: 4 | 6): Record<(typeof MACHINES)[number], Record<string, Resource[]>> {
  const [p, q, m] = HOSTS[family];
  return {
    P: {
      one: [
        tunnel('p-q', p, q),
        node('conn', 'P', 'conn'),
        link('conn/P/p6', { tunnel: 'p-q', label: 1001 }),
        deliver({ tunnel: 'p-q', label: 2001 }, 'conn/P/p6'),
      ],
      conn: [
        node('iptv', 'P', 'iptv'),
        port('iptv/P/station', 'st-hp'),
        link('iptv/P/p-m', { vif: 'conn/P/p6', label: 5001 }),
        deliver({ vif: 'conn/P/p6', label: 6001 }, 'iptv/P/p-m'),
      ],
      iptv: [
        address('iptv/P/station', '10.0.1.1/24'),
        address('iptv/P/station', 'fd00:0:0:1::1/64'),
        address('iptv/P/p-m', '10.1.0.0/31'),
        address('iptv/P/p-m', 'fd00:1::/127'),
        route('iptv/P', '10.0.3.0/24', ['p-m', '10.1.0.1']),
        route('iptv/P', 'fd00:0:0:3::/64', ['p-m', 'fd00:1::1']),
      ],
    },
    Q: {
      one: [
        tunnel('q-p', q, p),
        tunnel('q-m', q, m),
        node('conn', 'Q', 'conn'),
        link('conn/Q/q2', { tunnel: 'q-p', label: 2001 }),
        link('conn/Q/q3', { tunnel: 'q-m', label: 3001 }),
        deliver({ tunnel: 'q-p', label: 1001 }, 'conn/Q/q2'),
        deliver({ tunnel: 'q-m', label: 4001 }, 'conn/Q/q3'),
      ],
      conn: [
        swap({ vif: 'conn/Q/q2', label: 5001 }, { vif: 'conn/Q/q3', label: 5002 }),
        swap({ vif: 'conn/Q/q3', label: 6002 }, { vif: 'conn/Q/q2', label: 6001 }),
      ],
    },
    M: {
      one: [
        tunnel('m-q', m, q),
        node('conn', 'M', 'conn'),
        link('conn/M/m1', { tunnel: 'm-q', label: 4001 }),
        deliver({ tunnel: 'm-q', label: 3001 }, 'conn/M/m1'),
      ],
      conn: [
        node('iptv', 'M', 'iptv'),
        port('iptv/M/station', 'st-hm'),
        link('iptv/M/m-p', { vif: 'conn/M/m1', label: 6002 }),
        deliver({ vif: 'conn/M/m1', label: 5002 }, 'iptv/M/m-p'),
      ],
      iptv: [
        address('iptv/M/station', '10.0.3.1/24'),
        address('iptv/M/station', 'fd00:0:0:3::1/64'),
        address('iptv/M/m-p', '10.1.0.1/31'),
        address('iptv/M/m-p', 'fd00:1::1/127'),
        route('iptv/M', '10.0.1.0/24', ['m-p', '10.1.0.0']),
        route('iptv/M', 'fd00:0:0:1::/64', ['m-p', 'fd00:1::']),
      ],
    },
  };
}

export const OWNERS = ['one', 'conn', 'iptv'] as const;
