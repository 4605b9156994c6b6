/**
 * Kinds of resources: where their names lie, what of them is the caller's to say, and how they are written down.
 * A kind is the member of the API's `Resource` oneof; what is in it is its body.
 */
import { type ApiError, invalidArgument } from '../api/errors.js';
import { type MessageType } from '../api/message.js';
import { type ResourceStatus } from '../api/types.js';

export interface Body {
  readonly name: string;
  readonly status?: ResourceStatus | undefined;
}

/** A package's `Resource`, as received: one member, told by `kind`. */
export interface AnyResource {
  readonly kind?: string | undefined;
}

/** The bodies of R by kind: `{ machine: Machine; wire: Wire; … }` */
export type BodiesOf<R extends AnyResource> = {
  [K in NonNullable<R['kind']>]: K extends keyof Extract<R, { readonly kind: K }>
    ? NonNullable<Extract<R, { readonly kind: K }>[K]>
    : never;
};

export interface Kind<B> {
  /** `machines`; `customers/+/virtualNodes` with `+` for one id; `tariff`: there is one, called so. */
  readonly collection: string;
  /** Of the last id. Default: 1 to 63 characters of [A-Za-z0-9_.-], beginning with a letter or digit. */
  readonly id?: RegExp | undefined;
  /** What an id must be, to be said when it is not. */
  readonly idRule?: string | undefined;
  /** Whether Update takes it. Others are made by the controller. */
  readonly writable: boolean;
  /** Whether Delete takes it. Default: as `writable`. */
  readonly deletable?: boolean | undefined;
  /** After a change it takes the controller a while to make it so: `status.reconciling`. */
  readonly reconciles?: boolean | undefined;
  /** Fields that the controller writes; what callers give there is ignored. `status` always is one. */
  readonly outputs: readonly (keyof B & string)[];
  /** Whatever is wrong with it by itself: throws `wrong(field, …)`. */
  readonly check?: ((body: B, wrong: Wrong) => void) | undefined;
}

/** Makes the error for a field of the body being checked. */
export type Wrong = (field: string, reason: string, message: string) => ApiError;

/** Bodies by kind: what {@link BodiesOf} gives for a package of ours. */
export type Shape<Bodies> = Record<keyof Bodies, Body>;

export type Kinds<Bodies> = { readonly [K in keyof Bodies]: Kind<Bodies[K]> };

export interface Item<Bodies, K extends keyof Bodies & string = keyof Bodies & string> {
  readonly kind: K;
  readonly body: Bodies[K];
}

const ID = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$/;
const ID_RULE = '1 to 63 characters of [A-Za-z0-9_.-], beginning with a letter or digit';
const LONGEST_NAME = 256;

/** All kinds of one API. */
export class Catalogue<Bodies extends Shape<Bodies>> {
  readonly kinds: Kinds<Bodies>;
  readonly #type: MessageType<unknown>;
  readonly #byCollection = new Map<string, keyof Bodies & string>();
  readonly #cleanType = new Map<string, readonly string[]>();

  /** `type`: of the package's `Resource`. */
  constructor(type: MessageType<never> | MessageType<object>, kinds: Kinds<Bodies>) {
    this.kinds = kinds;
    this.#type = type;
    for (const kind of Object.keys(kinds) as (keyof Bodies & string)[]) {
      this.#byCollection.set(kinds[kind].collection, kind);
      this.#cleanType.set(kind, [...kinds[kind].outputs, 'status']);
    }
  }

  kindNames(): readonly (keyof Bodies & string)[] {
    return [...this.#byCollection.values()];
  }

  /** The kind that a name is of, or undefined. */
  kindOf(name: string): (keyof Bodies & string) | undefined {
    if (name.length > LONGEST_NAME) return undefined;
    const parts = name.split('/');
    const single = parts.length % 2 === 1;
    const pattern = parts.map((part, i) => (i % 2 === 1 ? '+' : part));
    const kind = this.#byCollection.get((single ? pattern : pattern.slice(0, -1)).join('/'));
    if (kind === undefined || isSingle(this.kinds[kind].collection) !== single) return undefined;
    const ids = parts.filter((_, i) => i % 2 === 1);
    const own = this.kinds[kind].id ?? ID;
    return ids.every((id, i) => (i === ids.length - 1 ? own : ID).test(id)) ? kind : undefined;
  }

  /**
   * `machines`, `customers/conn/virtualNodes`, and with `-` for any one id: the kind and a test of names.
   * @throws ApiError INVALID_ARGUMENT, COLLECTION
   */
  collection(text: string, field: string): { kind: keyof Bodies & string; has: (name: string) => boolean } {
    const parts = text.length > LONGEST_NAME ? [] : text.split('/');
    const kind = this.#byCollection.get(parts.map((part, i) => (i % 2 === 1 ? '+' : part)).join('/'));
    const ids = parts.filter((_, i) => i % 2 === 1);
    if (kind === undefined || !ids.every((id) => id === '-' || ID.test(id))) {
      const known = [...this.#byCollection.keys()].map((one) => one.replaceAll('+', '-')).join(', ');
      throw invalidArgument({
        reason: 'COLLECTION',
        field,
        message: `${field} is no collection of this API; there are ${known}.`,
      });
    }
    const single = isSingle(text);
    const any = ids.includes('-');
    const has = (name: string): boolean => {
      if (single) return name === text;
      if (!any) return name.startsWith(`${text}/`) && !name.slice(text.length + 1).includes('/');
      const own = name.split('/');
      return (
        own.length === parts.length + 1 &&
        parts.every((part, i) => part === own[i] || (i % 2 === 1 && part === '-'))
      );
    };
    return { kind, has };
  }

  /** Checks a name that a caller gave for a new or changed resource. */
  checkName(kind: keyof Bodies & string, name: string, field: string): void {
    if (this.kindOf(name) === kind) return;
    const { collection, idRule } = this.kinds[kind];
    const shape = isSingle(collection)
      ? `\`${collection}\``
      : `\`${collection.replaceAll('+', 'ID')}/ID\`, the last ID ${idRule ?? ID_RULE}`;
    throw invalidArgument({ reason: 'NAME', field, message: `${field} must be ${shape}.` });
  }

  encode(item: Item<Bodies>): Buffer {
    return this.#type.encode({ [item.kind]: item.body });
  }

  decode(bytes: Uint8Array): Item<Bodies> {
    const message = this.#type.decode(bytes) as { kind: string } & Record<string, unknown>;
    const kind = message.kind as keyof Bodies & string;
    return { kind, body: message[kind] as unknown as Bodies[typeof kind] };
  }

  /** The package's `Resource`. */
  toResource(item: Item<Bodies>): unknown {
    return { kind: item.kind, [item.kind]: item.body };
  }

  /** What the caller says: without what is the controller's. Every field is there, with its default. */
  spec<K extends keyof Bodies & string>(kind: K, body: Bodies[K]): Bodies[K] {
    const outputs = this.#cleanType.get(kind) ?? [];
    const said = Object.fromEntries(Object.entries(body).filter(([field]) => !outputs.includes(field)));
    const complete = this.#type.complete({ [kind]: said }) as Record<string, unknown>;
    return complete[kind] as Bodies[K];
  }

  /** A spec with the controller's fields of what there was. */
  merged<K extends keyof Bodies & string>(
    kind: K,
    spec: Bodies[K],
    before: Bodies[K] | undefined,
  ): Bodies[K] {
    if (!before) return spec;
    const kept = (this.#cleanType.get(kind) ?? []).map(
      (field) => [field, before[field as keyof Bodies[K]]] as const,
    );
    return { ...spec, ...Object.fromEntries(kept.filter(([, value]) => value !== undefined)) };
  }

  sameSpec<K extends keyof Bodies & string>(kind: K, a: Bodies[K], b: Bodies[K]): boolean {
    return this.encode({ kind, body: this.spec(kind, a) }).equals(
      this.encode({ kind, body: this.spec(kind, b) }),
    );
  }
}

function isSingle(collection: string): boolean {
  return !collection.includes('/') && SINGLES.has(collection);
}

/** Collections of one: their names have no id. */
const SINGLES: ReadonlySet<string> = new Set(['tariff', 'network']);
