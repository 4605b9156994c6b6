/*
 * Worlds of machines in a grid, of three infrastructure providers, with a link of one connectivity network on every wire, and a
 * service network over it. World files, as JSON is YAML.
 */
export interface Grid {
  readonly columns: number;
  readonly rows: number;
}

const place = (x: number, y: number): string => `m${y}${x}`;

/** A way through all machines, each beside the one before. */
export function winding({ columns, rows }: Grid): readonly string[] {
  return Array.from({ length: columns * rows }, (_, i) => {
    const y = Math.floor(i / columns);
    const x = i % columns;
    return place(y % 2 === 0 ? x : columns - 1 - x, y);
  });
}

interface Wires {
  readonly machines: readonly { readonly name: string; readonly provider: string }[];
  readonly wires: readonly { readonly a: string; readonly b: string }[];
}

function machinesOf({ columns, rows }: Grid): Wires {
  const machines = [];
  const wires = [];
  for (let y = 0; y < rows; y++) {
    for (let x = 0; x < columns; x++) {
      const name = place(x, y);
      machines.push({ name, provider: ['one', 'two', 'three'][x % 3] ?? '' });
      if (x + 1 < columns) wires.push({ a: name, b: place(x + 1, y) });
      if (y + 1 < rows) wires.push({ a: name, b: place(x, y + 1) });
    }
  }
  return { machines, wires };
}

interface Service {
  readonly nodes: readonly { readonly name: string }[];
  readonly links: readonly { readonly a: string; readonly b: string }[];
  /** Nodes with a station. */
  readonly stations: readonly string[];
}

function worldFile(grid: Grid, { nodes, links, stations }: Service): string {
  const { machines, wires } = machinesOf(grid);
  const networks = [
    { name: 'conn', nodes: machines.map(({ name }) => ({ name })), links: wires },
    { name: 'iptv', over: 'conn', nodes, links },
  ];
  return JSON.stringify({
    name: 'grid',
    machines,
    wires,
    networks,
    stations: stations.map((node, i) => {
      const number = i + 1;
      const addresses = [`10.0.${number}.2/24`, `fd00:0:0:${number.toString(16)}::2/64`];
      return { name: node.replace('m', 'h'), network: 'iptv', node, addresses };
    }),
  });
}

/** A service network with a node on every machine, joined by the rows and the first column, and a station at each. */
export function fullGrid(grid: Grid): string {
  const { machines, wires } = machinesOf(grid);
  const links = wires.filter(({ a, b }) => a[1] === b[1] || a.endsWith('0'));
  const names = machines.map(({ name }) => name);
  return worldFile(grid, { nodes: names.map((name) => ({ name })), links, stations: names });
}

/** A service network on so many machines in a row, with stations at its ends. */
export function gridWithChain(grid: Grid, length: number): string {
  const chain = winding(grid).slice(0, length);
  const stations = [chain[0] ?? '', chain[length - 1] ?? ''];
  return worldFile(grid, { nodes: chain.map((name) => ({ name })), links: chainLinks(chain), stations });
}

export function chainLinks(chain: readonly string[]): { a: string; b: string }[] {
  return chain.slice(1).map((b, i) => ({ a: chain[i] ?? '', b }));
}
