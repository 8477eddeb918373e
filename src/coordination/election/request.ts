import { checkOptions, type OptionTable } from '../../core/options.js'
import type { Coordinator } from '../coordinator.js'
import { coordinationError, hasCode } from '../errors.js'
import { thisHolder } from '../holder.js'
import { endingWith } from '../line/member.js'
import { electionKeys } from './keys.js'
import { pictureOf, publicLeader, type Leader, type LeaderKey } from './picture.js'

const REQUEST: OptionTable<{ to?: string; by?: string }> = {
  to: { kind: 'string', doc: 'the `holder` of the candidate that shall lead' },
  by: { kind: 'string', doc: 'who asks' },
}

/**
 * Asks who leads to hand over, for operators: its signal aborts, and when its work has ended another leads.
 *
 * @param options.to - the `holder` of the candidate that shall lead; default who is next. In the algorithm `line` nobody else can
 *   be
 * @param options.by - who asks; default `host:pid`
 * @returns who was asked; `observeElection` tells what becomes of it
 * @throws `BANYAN_NOT_LEADER` if nobody leads who could be asked, `BANYAN_NO_CANDIDATE` if that candidate, or any, is not there,
 *   or its turn is not next; `BANYAN_INVALID_OPTIONS`
 */
export async function requestHandOver(
  coordinator: Coordinator,
  name: string,
  options: { to?: string; by?: string } = {},
): Promise<Leader> {
  checkOptions('requestHandOver', REQUEST, options)
  const { to, by = thisHolder() } = options
  return publicLeader(await askForHandOver(coordinator, name, { token: undefined, to, by }))
}

/** @param request.token - of the term that shall end; default the present one */
export async function askForHandOver(
  coordinator: Coordinator,
  name: string,
  { token, to, by }: { token: number | undefined; to: string | undefined; by: string },
): Promise<LeaderKey> {
  const keys = electionKeys(name)
  const { entries, revision } = await coordinator.list(keys.prefix)
  const keyed = new Map(entries.map((entry) => [entry.key, entry]))
  const { leader, candidates } = pictureOf(keys, { entries: keyed, revision })
  const quoted = JSON.stringify(name)
  if (leader?.algorithm === 'foreign')
    throw coordinationError(
      'BANYAN_NOT_LEADER',
      `${JSON.stringify(leader.holder)}, which leads ${quoted}, is another program and cannot be asked`,
    )
  if (leader?.token === undefined || (token ?? leader.token) !== leader.token)
    throw coordinationError('BANYAN_NOT_LEADER', `nobody leads ${quoted} who could be asked`)
  const next = candidates.find((each) => to === undefined || each.holder === to)
  if (!next && leader.algorithm === 'record' && to !== undefined)
    throw coordinationError(
      'BANYAN_NO_CANDIDATE',
      `${JSON.stringify(to)} cannot be named to lead ${quoted}: with \`record\` nobody stands in line, and all race`,
    )
  // Who races is not known.
  if (!next && (to !== undefined || leader.algorithm !== 'record')) {
    const others = candidates.map((each) => each.holder).join(', ') || 'nobody'
    const wanted = to === undefined ? 'nobody waits' : `${JSON.stringify(to)} does not wait`
    throw coordinationError('BANYAN_NO_CANDIDATE', `${wanted} to lead ${quoted}; who does: ${others}`)
  }
  if (leader.algorithm === 'line' && next !== candidates[0])
    throw coordinationError(
      'BANYAN_NO_CANDIDATE',
      `${JSON.stringify(to)} is not next to lead ${quoted}, where who came first leads first: ${candidates[0]!.holder} is`,
    )
  // Whom it names reads it when the leader is gone.
  const addressee = keyed.get(to === undefined ? keys.leader : next!.key)!
  try {
    await coordinator.put(
      keys.request,
      JSON.stringify({ token: leader.token, to, by }),
      endingWith(addressee),
    )
  } catch (error) {
    if (!hasCode(error, 'BANYAN_LEASE_LOST')) throw error
    throw to === undefined
      ? coordinationError('BANYAN_NOT_LEADER', `who led ${quoted} has gone`, error)
      : coordinationError('BANYAN_NO_CANDIDATE', `${JSON.stringify(to)} has gone`, error)
  }
  return leader
}
