/** The state of a controller: the interface, and its forms. */
export * from './errors.js';
export * from './store.js';
export * from './all.js';
