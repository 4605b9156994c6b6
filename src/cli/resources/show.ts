/** Resources on paper: tables by kind, names, and the very documents that `cabernet apply` reads. */
import { type JsonObject, toJson } from '../../api/manifest.js';
import { type Column, formatTable, type Row } from '../output.js';
import { isPrintable, printable, printableJson, printableLines } from '../printable.js';
import { type AnyResource, bodyOf, type Layer, type ResourceKind } from './layer.js';

export const FORMATS = ['table', 'wide', 'json', 'yaml', 'name'] as const;
export type Format = (typeof FORMATS)[number];

/** ProtoJSON of one resource: `{ machine: { … } }`. */
export function resourceJson(layer: Layer, resource: AnyResource): JsonObject {
  return toJson(layer.type, resource as never);
}

/** A document that `cabernet apply` reads. */
function documentOf(
  layer: Layer,
  context: string | undefined,
  resources: readonly AnyResource[],
): JsonObject {
  return {
    ...(context === undefined ? {} : { context }),
    resources: resources.map((one) => resourceJson(layer, one)),
  };
}

export async function formatResources(
  format: Format,
  layer: Layer,
  context: string | undefined,
  resources: readonly AnyResource[],
): Promise<string> {
  switch (format) {
    case 'name':
      return resources.map((one) => printable(bodyOf(one).name)).join('\n');
    case 'json':
      return printableJson(JSON.stringify(documentOf(layer, context, resources), undefined, 2));
    case 'yaml':
      return printableYaml(documentOf(layer, context, resources));
    case 'table':
    case 'wide':
      return tables(layer, resources, format === 'wide');
  }
}

/** One table for each kind, in the order of the kinds. */
function tables(layer: Layer, resources: readonly AnyResource[], wide: boolean): string {
  if (resources.length === 0) return 'none';
  return layer.kinds
    .map((kind) => ({ kind, own: resources.filter((one) => one.kind === kind.kind) }))
    .filter(({ own }) => own.length > 0)
    .map(({ kind, own }) => table(kind, own, wide))
    .join('\n\n');
}

function table(kind: ResourceKind, resources: readonly AnyResource[], wide: boolean): string {
  const chosen = kind.columns.filter((column) => wide || column.wide !== true);
  const rows = resources.map((one): Row => {
    const body = bodyOf(one);
    return Object.fromEntries(chosen.map(({ title, cell }) => [title, printable(cell(body))]));
  });
  const columns = chosen
    .filter(({ title, sparse }) => sparse !== true || rows.some((row) => row[title] !== ''))
    .map(({ title, align }): Column => ({ key: title, title, ...(align && { align }) }));
  return formatTable(columns, rows);
}

/** YAML that means the same, with everything unprintable as an escape between double quotes. */
async function printableYaml(value: JsonObject): Promise<string> {
  const { Document, isScalar, Scalar, visit } = await import('yaml');
  const document = new Document(value, { aliasDuplicateObjects: false, schema: 'core', version: '1.2' });
  visit(document, {
    Scalar(_, node) {
      if (isScalar(node) && typeof node.value === 'string' && !isPrintable(node.value))
        node.type = Scalar.QUOTE_DOUBLE;
    },
  });
  return printableJson(document.toString({ lineWidth: 0 }).trimEnd());
}

/** Prints to the standard output; waits until it is taken. */
export async function print(text: string): Promise<void> {
  await new Promise<void>((resolve) => process.stdout.write(`${text}\n`, () => resolve()));
}

export { printable, printableLines };
