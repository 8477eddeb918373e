// @ts-check
/** The SDK of Restate calls `Promise.withResolvers`, which Node has from version 22 on. */
Promise.withResolvers ??= function () {
  /** @type {any} */
  const all = {}
  all.promise = new this((resolve, reject) => Object.assign(all, { resolve, reject }))
  return all
}
