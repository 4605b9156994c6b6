/** What is asked of a service link's protection: the fields that all APIs which have such links share. */

export interface Protected<Kind> {
  /** cabernet.types.v1.LinkProtection */
  readonly protection: Kind;
  readonly repairUs: number;
  readonly weights: readonly number[];
  readonly variationUs: number;
  readonly degradedMs: number;
}

/** These fields, and no others, of whatever has them. */
export function protectedFields<Kind, Weights extends readonly number[]>(
  link: Protected<Kind> & { readonly weights: Weights },
): Protected<Kind> & { readonly weights: Weights } {
  const { protection, repairUs, weights, variationUs, degradedMs } = link;
  return { protection, repairUs, weights, variationUs, degradedMs };
}
