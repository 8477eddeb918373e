/**
 * Whether a request is for a server that is asked by address or as `localhost` only. A page in a browser that was led here by a name
 * of its own (DNS rebinding) is told apart by that name.
 *
 * @param host - the field `Host`. Only HTTP/1.0 may leave it out: old health checks do, browsers never
 */
export function isOwnHost(host: string | undefined): boolean {
  return host === undefined || /^(localhost|[\d.]+|\[[0-9a-f:.]+\])(:\d+)?$/i.test(host)
}

/** Whether a request comes from no page of another origin. */
export function isOwnOrigin(host: string | undefined, origin: string | undefined): boolean {
  return origin === undefined || origin === `http://${host}` || origin === `https://${host}`
}
