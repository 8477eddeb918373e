/**
 * Followers of an event log: processes that keep a copy of it, serve reads from that, and can take its place.
 *
 * A follower (`shipping.ts`) asks its leader again and again for what it does not have (`source.ts`), over HTTP
 * (`http-leader.ts`, `over-http.ts`, `wire.ts`). The leader (`leader.ts`) looks whether both are copies of one log, and of one
 * history, and gives whole commits and what was truncated (`ship.ts`). The copy takes over each answer in one transaction, so it
 * is the log as it was at some moment, whenever it is looked at; then it answers reads (`follower.ts`), or sends them on to the
 * leader (`remote-log.ts`); `token.ts` says what is new enough. An operator makes it the leader (`promote.ts`), in an epoch of its own; with a coordinator leaders hold
 * a lease (`lead.ts`, `leader-keys.ts`). Shipping is asynchronous: what a leader has acknowledged and not shipped is lost with it.
 */
export { LogFollower, type Follower, type FollowerOptions, type Freshness } from './follower.js'
export { leaderAt, type LeaderOptions } from './http-leader.js'
export { leadLog, type LeadOptions, type LogLead } from './lead.js'
export { leaderOf } from './leader.js'
export { followersOverHttp, type FollowersHttpOptions } from './over-http.js'
export {
  fenceLeader,
  promoteFollower,
  reinstateLeader,
  tokenOf,
  type FenceOptions,
  type PromoteOptions,
  type Promotion,
} from './promote.js'
export type { FollowerStatus } from './shipping.js'
export type { GiveWayRequest, Leader, Pulled, PullRequest } from './source.js'
export type { EpochToken, Token } from './token.js'
