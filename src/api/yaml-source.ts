/**
 * A YAML text with places: what is wrong with it is told by file, line, column and path, several problems at once. Of YAML
 * only what JSON has is let in (no anchors, aliases, tags, merge keys or second documents): nothing in a file means
 * something that is not written there.
 */
import {
  Composer,
  type Document,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  type Pair,
  parseDocument,
  Parser,
  type Scalar,
  YAMLMap,
  type YAMLSeq,
} from 'yaml';

export interface Place {
  /** From 1. */
  readonly line: number;
  /** From 1, in UTF-16 units. */
  readonly column: number;
}

export interface Problem extends Place {
  readonly file: string;
  /** `machines[2].name`; empty: the whole file. */
  readonly path: string;
  /** What is wrong and what would be right. */
  readonly message: string;
}

const SHOWN = 20;

function formatProblem(problem: Problem): string {
  const path = problem.path === '' ? '' : `${problem.path}: `;
  return `${problem.file}:${problem.line}:${problem.column}: ${path}${problem.message}`;
}

/** A file that is not what it should be. The message has one line for each problem. */
export class ManifestError extends Error {
  override readonly name = 'ManifestError';
  readonly problems: readonly Problem[];

  constructor(problems: readonly Problem[]) {
    const lines = problems.slice(0, SHOWN).map(formatProblem);
    if (problems.length > SHOWN) lines.push(`and ${problems.length - SHOWN} more problems`);
    super(lines.join('\n'));
    this.problems = problems;
  }
}

/** Thrown inside when reading on would only add noise. */
class Enough extends Error {}

export const LARGEST_TEXT = 16 * 1024 * 1024;
const MOST_PROBLEMS = 100;
const MOST_DOCUMENTS = 1000;

const OPTIONS = {
  intAsBigInt: true,
  logLevel: 'error', // silent would let a second document replace the first
  merge: false,
  prettyErrors: false,
  resolveKnownTags: false,
  schema: 'core',
  stringKeys: true,
  uniqueKeys: false, // entries() tells them with their path, and without comparing every pair of keys
  version: '1.2',
} as const;

/** One document of a text with several. */
interface Part {
  readonly lines: LineCounter;
  /** Undefined: the text as a whole is wrong, as `problem` says. */
  readonly document: Document.Parsed | undefined;
  readonly problem?: string;
}

/** A mapping's keys, each once, and their values. */
export type Entries = ReadonlyMap<string, { readonly key: Node; readonly value: Node | undefined }>;

export class YamlSource {
  readonly file: string;
  readonly #lines: LineCounter;
  readonly #problems: Problem[] = [];
  readonly #root: Node | undefined;

  /** Never throws: a text that is no YAML has problems, and no root. `part`: for {@link yamlDocuments}. */
  constructor(text: string, file: string, part?: Part) {
    this.file = file;
    this.#lines = part?.lines ?? new LineCounter();
    if (part) {
      if (part.problem !== undefined) this.#add(0, '', part.problem);
      else if (part.document) this.#root = this.#noting(part.document);
      return;
    }
    this.#lines.addNewLine(0);
    if (text.length > LARGEST_TEXT) {
      this.report(undefined, '', `the file has ${text.length} characters; ${LARGEST_TEXT} is the most`);
      return;
    }
    this.#root = this.#parse(text);
  }

  get root(): Node | undefined {
    return this.#root;
  }

  #parse(text: string): Node | undefined {
    const lineCounter = this.#lines;
    lineCounter.lineStarts.length = 0;
    try {
      return this.#contents(parseDocument(text, { ...OPTIONS, lineCounter }), 0);
    } catch (error) {
      if (error instanceof RangeError)
        this.#add(0, '', 'the file is nested too deeply'); // the parser recurses
      else if (!(error instanceof Enough)) throw error;
      return undefined;
    }
  }

  #noting(document: Document.Parsed): Node | undefined {
    try {
      return this.#contents(document, document.range[0]);
    } catch (error) {
      if (!(error instanceof Enough)) throw error;
      return undefined;
    }
  }

  #contents(document: Document.Parsed, start: number): Node | undefined {
    for (const error of document.errors) {
      const several = error.code === 'MULTIPLE_DOCS';
      this.#add(error.pos[0], '', several ? 'a second document begins; one file holds one' : error.message);
    }
    const { yaml } = document.directives;
    if (yaml.explicit === true && yaml.version !== '1.2') {
      this.#add(start, '', 'the file asks for another YAML; only 1.2 is read');
    }
    return document.errors.length > 0 ? undefined : (document.contents ?? undefined);
  }

  #add(offset: number, path: string, message: string): void {
    this.#problems.push({ file: this.file, ...this.#placeAt(offset), path, message });
    if (this.#problems.length >= MOST_PROBLEMS) throw new Enough();
  }

  #placeAt(offset: number): Place {
    if (this.#lines.lineStarts.length === 0) return { line: 1, column: 1 };
    const { line, col } = this.#lines.linePos(offset);
    return { line: Math.max(1, line), column: Math.max(1, col) };
  }

  /** Notes a problem; the reading goes on to find more. */
  report(node: Node | undefined, path: string, message: string): void {
    this.#add(node?.range?.[0] ?? 0, path, message);
  }

  /** Runs `read` over the root; throws ManifestError if any problem was noted before or by it. */
  read<T>(read: (root: Node | undefined) => T): T {
    let value: T | undefined;
    if (this.#problems.length === 0) {
      try {
        value = read(this.#root);
      } catch (error) {
        if (!(error instanceof Enough)) throw error;
      }
    }
    if (this.#problems.length > 0) throw new ManifestError(this.#problems);
    return value as T;
  }

  /** Whether the node is plain enough; notes a problem if not. */
  #isPlain(node: Node, path: string): boolean {
    if (isAlias(node)) {
      this.report(node, path, `*${node.source} is an alias; write the value out`);
    } else if ('anchor' in node && node.anchor !== undefined) {
      this.report(
        node,
        path,
        `&${node.anchor} is an anchor; leave it out and write the value where it is used`,
      );
    } else if (node.tag !== undefined) {
      this.report(node, path, `${node.tag} is a tag; leave it out`);
    } else {
      return true;
    }
    return false;
  }

  /** The scalar at a node; undefined after noting what is there instead. */
  scalar(node: Node | undefined, path: string, expected: string): Scalar | undefined {
    if (node && !this.#isPlain(node, path)) return undefined;
    if (isScalar(node) && node.value !== null) return node;
    this.report(node, path, `expected ${expected}, but this is ${describe(node)}`);
    return undefined;
  }

  list(node: Node | undefined, path: string, expected: string): readonly Node[] | undefined {
    if (node && !this.#isPlain(node, path)) return undefined;
    if (isSeq(node)) return (node as YAMLSeq<Node>).items;
    const hint =
      isMap(node) || (isScalar(node) && node.value !== null) ? '; begin each element with "- "' : '';
    this.report(node, path, `expected ${expected}, but this is ${describe(node)}${hint}`);
    return undefined;
  }

  entries(node: Node | undefined, path: string, expected: string): Entries | undefined {
    if (node && !this.#isPlain(node, path)) return undefined;
    if (!isMap(node)) {
      this.report(node, path, `expected ${expected}, but this is ${describe(node)}`);
      return undefined;
    }
    const entries = new Map<string, { readonly key: Node; readonly value: Node | undefined }>();
    for (const { key, value } of node.items as Pair<Node, Node | null>[]) {
      if (!this.#isPlain(key, path) || !isScalar(key)) continue;
      const name = String(key.value);
      const first = entries.get(name);
      if (first) {
        const { line } = this.#placeAt(first.key.range?.[0] ?? 0);
        this.report(key, join(path, name), `given a second time; the first is in line ${line}`);
      } else {
        entries.set(name, { key, value: value ?? undefined });
      }
    }
    return entries;
  }

  /** Where a path such as `machines[2].name` stands, or the nearest thing around it that is written. */
  locate(path: string, spellings: (name: string) => readonly string[]): Place {
    let node: Node | undefined = this.#root;
    let offset = node?.range?.[0] ?? 0;
    for (const [, name, index] of path.matchAll(/([^.[\]]+)|\[(\d+)\]/g)) {
      let next: Node | undefined;
      if (name !== undefined && node instanceof YAMLMap) {
        const wanted = new Set(spellings(name));
        const pair = (node.items as Pair<Node, Node | null>[]).find(
          ({ key }) => isScalar(key) && wanted.has(String(key.value)),
        );
        next = pair?.value ?? pair?.key;
      } else if (index !== undefined && isSeq(node)) {
        next = (node.items as Node[])[Number(index)];
      }
      if (!next) break;
      node = next;
      offset = node.range?.[0] ?? offset;
    }
    return this.#placeAt(offset);
  }
}

/**
 * Every document of a text that holds any number of them; empty ones are left out. Never throws: what is wrong with the
 * text is a problem of one of the sources.
 */
export function yamlDocuments(text: string, file: string): readonly YamlSource[] {
  if (text.length > LARGEST_TEXT) return [new YamlSource(text, file)];
  const lines = new LineCounter();
  const wrong = (problem: string): YamlSource =>
    new YamlSource('', file, { lines, document: undefined, problem });
  const sources: YamlSource[] = [];
  try {
    const parser = new Parser(lines.addNewLine);
    const composer = new Composer(OPTIONS);
    for (const document of composer.compose(parser.parse(text), false, text.length)) {
      const { contents } = document;
      const empty =
        contents === null || (isScalar(contents) && contents.value === null && contents.source === '');
      if (empty && document.errors.length === 0) continue;
      if (sources.length === MOST_DOCUMENTS)
        return [wrong(`the file has more than ${MOST_DOCUMENTS} documents; give several files`)];
      sources.push(new YamlSource('', file, { lines, document }));
    }
  } catch (error) {
    if (error instanceof RangeError) return [wrong('the file is nested too deeply')]; // the parser recurses
    throw error;
  }
  return sources;
}

export function join(path: string, name: string): string {
  return path === '' ? name : `${path}.${name}`;
}

/** What a node is, to people. */
export function describe(node: Node | undefined): string {
  if (isMap(node)) return 'a mapping';
  if (isSeq(node)) return 'a list';
  if (!isScalar(node) || node.value === null) return 'empty';
  const { value } = node;
  if (typeof value === 'string')
    return `the text ${JSON.stringify(value.length > 40 ? `${value.slice(0, 40)}…` : value)}`;
  if (typeof value === 'boolean') return String(value);
  return `the number ${node.source ?? (value as number | bigint).toString()}`;
}
