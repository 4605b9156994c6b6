/*
 * A world with two ways from P to M: over Q, before which Z only routes IP, and over A. Networks over it have one link each,
 * by Q where nothing is wrong, and a station at each end.
 */
export interface NetworkText {
  readonly name: string;
  /** Of the link, beside its ends and its way: `protection: …`. */
  readonly link?: string;
  /** Of its stations, `PREFIXp` and `PREFIXm`. */
  readonly prefix: string;
}

export type WirePair = readonly [string, string];

export const WIRES: readonly WirePair[] = [
  ['P', 'Z'],
  ['Z', 'Q'],
  ['Q', 'M'],
  ['P', 'A'],
  ['A', 'M'],
];

/** Its file. */
export function twoWays(name: string, networks: readonly NetworkText[]): string {
  const over = networks.map(
    (network) => `
  - name: ${network.name}
    over: conn
    nodes: [{ name: P }, { name: M }]
    links: [{ a: P, b: M, via: [Q]${network.link === undefined ? '' : `, ${network.link}`} }]`,
  );
  const stations = networks.flatMap(({ name: network, prefix }) => [
    `  - { name: ${prefix}p, network: ${network}, node: P, addresses: ['10.0.1.2/24'] }`,
    `  - { name: ${prefix}m, network: ${network}, node: M, addresses: ['10.0.3.2/24'] }`,
  ]);
  return `
name: ${name}
machines:
  - { name: P, provider: one }
  - { name: A, provider: two }
  - { name: Z, provider: three }
  - { name: Q, provider: three }
  - { name: M, provider: three }
wires: [${WIRES.map(([a, b]) => `{ a: ${a}, b: ${b} }`).join(', ')}]
networks:
  - name: conn
    nodes: [{ name: P }, { name: Q }, { name: M }, { name: A }]
    links: [{ a: P, b: Q }, { a: Q, b: M }, { a: P, b: A }, { a: A, b: M }]
${over.join('')}
stations:
${stations.join('\n')}
`;
}
