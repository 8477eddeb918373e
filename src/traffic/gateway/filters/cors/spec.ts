import type { Duration } from '../../../../core/duration.js'

/** Which pages of other origins may read answers, as browsers enforce it. */
export interface CorsSpec {
  /** Origins: exact (`https://shop.example`), any name below (`https://*.shop.example`), or `*` for every one. */
  origins: '*' | string[]
  /** Whether pages may send what the browser keeps for this origin: cookies, passwords, certificates. Default false. */
  credentials?: boolean
  /** Methods they may use. Default: those that the route matches, or else all common ones. */
  methods?: string[]
  /** Fields they may send; `*` for any. Default `Authorization` and `Content-Type`. */
  headers?: '*' | string[]
  /** Fields of answers that they may read, besides the few that they always may. */
  expose?: string[]
  /** How long a browser may remember what a preflight has said. Default `'10m'`. */
  maxAge?: Duration
  /** Whether pages of the public internet may ask a gateway in a private network. Default false. */
  privateNetwork?: boolean
}

/** Keeps other sites from making requests in the name of whoever visits them. */
export interface CsrfSpec {
  /** Origins of other sites that may, such as `https://admin.example`. */
  trust?: string[]
}
