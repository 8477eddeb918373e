// @ts-check
export const SHARDS = 100

export const named = (/** @type {number} */ count) =>
  Array.from({ length: count }, (_, index) => `10.0.${index >> 8}.${index & 255}:5432`)
