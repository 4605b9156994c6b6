/*
 * How long `up` and `down` take, as whoever types them waits: Figure 2, a grid of 30 machines, and one of 100.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fullGrid } from './grid.js';
import { median, round, row, type Row } from './report.js';
import { figure2, Testbed } from './testbed.js';

function measure(label: string, file: string, text: string, rounds: number): Row[] {
  const times = { up: [] as number[], down: [] as number[] };
  const testbed = new Testbed(label, file);
  for (let i = 0; i < rounds; i++) {
    try {
      times.up.push(testbed.up());
    } finally {
      times.down.push(testbed.down());
    }
  }
  return (['up', 'down'] as const).map((word) =>
    row({ bench: 'up', case: `${word}, ${text}`, unit: 's', value: round(median(times[word])) }),
  );
}

export function worlds(): Row[] {
  const folder = mkdtempSync(join(tmpdir(), 'cabernet-bench-'));
  try {
    const [small, large] = [join(folder, 'grid.yaml'), join(folder, 'large.yaml')];
    writeFileSync(small, fullGrid({ columns: 6, rows: 5 }));
    writeFileSync(large, fullGrid({ columns: 10, rows: 10 }));
    return [
      ...measure('fig2', figure2, '9 machines (Figure 2)', 3),
      ...measure('grid', small, '30 machines in a grid', 3),
      ...measure('large', large, '100 machines in a grid', 1),
    ];
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
