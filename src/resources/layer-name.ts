/** The layers by name, for whoever needs no more of them. */
export const LAYER_NAMES = ['infrastructure', 'connectivity', 'service'] as const;
export type LayerName = (typeof LAYER_NAMES)[number];
