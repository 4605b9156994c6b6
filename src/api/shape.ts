/**
 * The types of messages as plain objects, made from the generated declarations. Two views of each: a `Message` is
 * complete, as read from the wire; a `Draft` is what one writes, with anything left out. In both, 64-bit fields are bigint (a
 * draft takes safe numbers too), a oneof is a union told apart by the oneof's name, and enums are their numbers.
 */

/** A 64-bit number of the generated code. */
export interface Long {
  low: number;
  high: number;
  unsigned: boolean;
}

/** V if it is a union of string literals, as only the name of a oneof's member is. */
type Literal<V> = V extends string ? (string extends V ? never : V) : never;

type DiscriminatorOf<P> = {
  [K in keyof P]-?: [Literal<NonNullable<P[K]>>] extends [never] ? never : K;
}[keyof P];

type MemberOf<P> = Literal<NonNullable<P[DiscriminatorOf<P>]>> & keyof P;

type DataKey<P> = {
  [K in keyof P]-?: K extends '$unknowns'
    ? never
    : NonNullable<P[K]> extends (...args: never[]) => unknown
      ? never
      : K;
}[keyof P];

type PlainKey<P> = Exclude<DataKey<P>, DiscriminatorOf<P> | MemberOf<P>>;

type IsLong<V> = [Extract<V, Long>] extends [never] ? false : true;

type MessageKey<P> = {
  [K in PlainKey<P>]: IsLong<NonNullable<P[K]>> extends true
    ? never
    : NonNullable<P[K]> extends Uint8Array | readonly unknown[]
      ? never
      : NonNullable<P[K]> extends object
        ? K
        : never;
}[PlainKey<P>];

type Intersect<U> = (U extends unknown ? (member: U) => void : never) extends (member: infer I) => void
  ? I
  : never;

/** One object type instead of an intersection, for readable errors; once per member of a union. */
type Flat<T> = T extends unknown ? { [K in keyof T]: T[K] } : never;

type Value<V> =
  IsLong<V> extends true
    ? bigint
    : V extends Uint8Array
      ? Uint8Array
      : V extends readonly (infer E)[]
        ? readonly Value<E>[]
        : V extends object
          ? Message<V>
          : V;

type OneofValue<P, D extends keyof P, M extends Literal<NonNullable<P[D]>> = Literal<NonNullable<P[D]>>> =
  | {
      [K in M]: { readonly [Q in D]: K } & {
        readonly [Q in K]: K extends keyof P ? Value<NonNullable<P[K]>> : never;
      } & {
        readonly [Q in Exclude<M, K>]?: undefined;
      };
    }[M]
  | { readonly [Q in D | M]?: undefined };

type OneofValues<P> = [DiscriminatorOf<P>] extends [never]
  ? unknown
  : Intersect<{ [D in DiscriminatorOf<P>]: { readonly box: OneofValue<P, D> } }[DiscriminatorOf<P>]> extends {
        readonly box: infer I;
      }
    ? I
    : never;

/**
 * A message as received: every field there, with its default if it was not sent; only messages in it, and members of a
 * oneof, can be absent. P is the generated class.
 */
export type Message<P> = Flat<
  { readonly [K in Exclude<PlainKey<P>, MessageKey<P>>]-?: Value<NonNullable<P[K]>> } & {
    readonly [K in MessageKey<P>]?: Value<NonNullable<P[K]>>;
  } & OneofValues<P>
>;

type DraftValue<V> =
  IsLong<V> extends true
    ? bigint | number
    : V extends Uint8Array
      ? Uint8Array
      : V extends readonly (infer E)[]
        ? readonly DraftValue<E>[]
        : V extends object
          ? Draft<V>
          : V;

type OneofDraft<P, D extends keyof P, M extends Literal<NonNullable<P[D]>> = Literal<NonNullable<P[D]>>> =
  | {
      [K in M]: { readonly [Q in D]?: K | undefined } & {
        readonly [Q in K]: K extends keyof P ? DraftValue<NonNullable<P[K]>> : never;
      } & { readonly [Q in Exclude<M, K>]?: undefined };
    }[M]
  | { readonly [Q in D | M]?: undefined };

type OneofDrafts<P> = [DiscriminatorOf<P>] extends [never]
  ? unknown
  : Intersect<{ [D in DiscriminatorOf<P>]: { readonly box: OneofDraft<P, D> } }[DiscriminatorOf<P>]> extends {
        readonly box: infer I;
      }
    ? I
    : never;

/** A message to be sent: anything may be left out. A `Message` is a `Draft`. P is the generated class. */
export type Draft<P> = Flat<
  { readonly [K in PlainKey<P>]?: DraftValue<NonNullable<P[K]>> | undefined } & OneofDrafts<P>
>;

/** A method as pbjs declares it. */
interface GeneratedMethod {
  (request: never): Promise<unknown>;
  readonly path: string;
  readonly requestStream: true | undefined;
  readonly responseStream: true | undefined;
}

/** The keys of the generated service class S that are its methods. */
export type MethodKey<S> = {
  [K in keyof S]-?: S[K] extends GeneratedMethod ? K : never;
}[keyof S] &
  string;

/** P of the request and of the response of a method; both streams told. */
export type RequestOf<S, K extends MethodKey<S>> = S[K] extends (request: infer R) => Promise<unknown>
  ? NonNullable<R>
  : never;
export type ResponseOf<S, K extends MethodKey<S>> = S[K] extends (request: never) => Promise<infer R>
  ? R
  : never;
export type StreamsOf<S, K extends MethodKey<S>> = S[K] extends GeneratedMethod
  ? [S[K]['requestStream'], S[K]['responseStream']] extends [true, true]
    ? 'both'
    : S[K]['requestStream'] extends true
      ? 'request'
      : S[K]['responseStream'] extends true
        ? 'response'
        : 'none'
  : never;
