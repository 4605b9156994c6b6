/** Rows on paper: a table without rules, JSON, or YAML. */
import Table from 'cli-table3';

export type Cell = string | number | boolean | readonly string[];

/** By key, in the order of JSON. */
export type Row = Readonly<Record<string, Cell>>;

export interface Column {
  readonly key: string;
  readonly title: string;
  readonly align?: 'right';
}

const NO_RULES = Object.fromEntries(
  ['top', 'bottom', 'left', 'right'].flatMap((side) =>
    [side, `${side}-mid`, `${side}-left`, `${side}-right`].map((name) => [name, '']),
  ),
);

function shown(cell: Cell | undefined): string {
  if (cell === undefined || cell === '') return '-';
  if (typeof cell === 'string') return cell;
  if (typeof cell === 'number')
    return cell < 10_000 ? String(cell) : cell.toLocaleString('en').replaceAll(',', ' ');
  if (typeof cell === 'boolean') return cell ? 'yes' : 'no';
  return cell.length === 0 ? '-' : cell.join('\n');
}

export function formatTable(columns: readonly Column[], rows: readonly Row[]): string {
  const table = new Table({
    head: columns.map((column) => column.title),
    chars: { ...NO_RULES, mid: '', 'left-mid': '', 'mid-mid': '', 'right-mid': '', middle: '  ' },
    style: { head: [], border: [], 'padding-left': 0, 'padding-right': 0 },
    colAligns: columns.map((column) => column.align ?? 'left'),
  });
  for (const row of rows) table.push(columns.map((column) => shown(row[column.key])));
  return table
    .toString()
    .split('\n')
    .map((line) => line.trimEnd())
    .join('\n');
}

export async function formatRows(
  format: string,
  columns: readonly Column[],
  rows: readonly Row[],
): Promise<string> {
  if (format === 'json') return JSON.stringify(rows, undefined, 2);
  if (format === 'yaml') return formatYaml(rows);
  return rows.length === 0 ? 'none' : formatTable(columns, rows);
}

export async function formatYaml(value: unknown): Promise<string> {
  const { stringify } = await import('yaml');
  return stringify(value, { lineWidth: 0, aliasDuplicateObjects: false }).trimEnd();
}
