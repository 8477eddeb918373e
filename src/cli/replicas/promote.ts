import { formatDuration } from '../../core/duration.js'
import type { DatabaseReplicasState, HostedPromotion, LogReplicaState } from '../../node/replicas/state.js'
import { confirm } from '../events/confirm.js'
import { bytesText, countOf } from '../events/show/numbers.js'
import { printable } from '../events/show/printable.js'
import { interruptible } from '../output.js'
import { NodeReplicas, type ReplicasOptions } from './node-replicas.js'

/** `banyan replicas promote`: asks first, as what the leader has not sent may be lost. */
export async function promote(
  name: string,
  { admin, json, to, force, yes }: ReplicasOptions & { to?: string; force?: true; yes?: true },
): Promise<void> {
  const node = new NodeReplicas(admin)
  await interruptible(async (output, signal) => {
    const now = await node.show(name)
    const isForced = force === true
    const facts = now.kind === 'log' ? factsOfLog(now, isForced) : factsOfDatabase(now, to, isForced)
    if (!(await confirm(facts.map(printable), yes === true, signal))) return
    const done = await node.promote(name, {
      ...(to !== undefined && { to }),
      ...(isForced && { force: true }),
    })
    if (json) output.json(done)
    else output.add(printable(outcomeText(name, done, leadsAlready(now, to))))
  })
}

/** Whether nobody is promoted, and the coordinator only hears what is so. */
function leadsAlready(now: DatabaseReplicasState | LogReplicaState, to: string | undefined): boolean {
  return now.kind === 'database' && now.nodes.some(({ node, role }) => node === to && role === 'leader')
}

/** What is known to be lost, and what may be, before it is done. */
function factsOfLog({ role, epoch, following, position }: LogReplicaState, force: boolean): string[] {
  // The node says why not.
  if (role !== 'follower' || !following) return [`The event log of this node is ${role}, and no follower.`]
  const { leader, state, behind, contact, head } = following
  const first = `This makes the event log of this node the leader, in a new epoch behind ${epoch}: it takes appends then.`
  if (state === 'following')
    return [
      first,
      `${leader} is told to take no appends any more, and hands over what is missing (${countOf(behind, 'position')}): nothing is lost.`,
      ...(force
        ? [
            'If it cannot be reached by then, that is done without it: what it has acknowledged and not sent is lost.',
          ]
        : ['If it cannot be reached by then, nothing is done.']),
    ]
  const known =
    contact === undefined
      ? `${leader} was not heard of since this node was started, so nobody knows how much would be lost.`
      : `${leader} was last heard of ${formatDuration(contact)} ago: it ended at ${head}, and this copy ends at ${position}, so at least ${countOf(behind, 'position')} would be lost, and what it has acknowledged since then.`
  return [
    first,
    known,
    force
      ? 'If it still runs and nobody reaches it, it goes on taking appends, which are lost: end it first.'
      : 'If it does not hand over, nothing is done: say --force to go on without it.',
  ]
}

function factsOfDatabase(now: DatabaseReplicasState, to: string | undefined, force: boolean): string[] {
  const { name, leader, nodes, timeline, problem } = now
  if (leadsAlready(now, to))
    return [
      `${to} leads ${name} already${problem === undefined ? '' : `, and nobody writes there: ${problem}`}.`,
      force
        ? 'This lets the coordinator say that it leads, whatever it says now: whoever else may still lead these servers is to be ended first. Nobody writes until all have heard of it.'
        : 'This lets the coordinator say so, if it says nothing else. Without --force nothing else is replaced.',
    ]
  const target = to === undefined ? undefined : nodes.find(({ node }) => node === to)
  const who = to ?? 'the follower that has received most'
  const before = leader ?? nodes.find(({ role }) => role === 'leader')?.node
  const first = `This makes ${who} the leader of ${name}${before === undefined ? '' : ` in the place of ${before}`}.`
  const lag = target?.lagBytes
  if (leader !== undefined)
    return [
      first,
      `${leader} is stopped first: it only reads from then on, and its sessions are ended; ${who} replays what is left (${lag === undefined ? 'of which nobody knows how much it is' : bytesText(lag)}): nothing is lost.`,
      force
        ? 'If it cannot be stopped, that is done without it: what it has not sent is lost.'
        : 'If it cannot be stopped, nothing is done.',
    ]
  return [
    first,
    `Nobody leads${timeline === undefined ? '' : ` timeline ${timeline}`} at the moment: ${lag === undefined ? 'nobody knows how much would be lost' : `${bytesText(lag)} that the old leader was last seen to have would be lost, and what it has acknowledged since then`}.`,
    force
      ? 'Programs that write to it without a router are not kept from that: end it first.'
      : 'Without --force nothing is done.',
  ]
}

function outcomeText(name: string, done: HostedPromotion, isConfirmed: boolean): string {
  if (done.kind === 'database') {
    const { to, from, timeline, planned, lostBytes } = done
    if (isConfirmed) return `${to} leads ${name} on timeline ${timeline}, and the coordinator says so`
    const lost = planned
      ? 'nothing is lost'
      : `at least ${bytesText(lostBytes)} are lost, and what the old leader has acknowledged unseen`
    return `${to} leads ${name} on timeline ${timeline}${from === undefined ? '' : `, in the place of ${from}`}: ${lost}`
  }
  const { how, epoch, position, left } = done
  const lost =
    how === 'planned'
      ? 'nothing is lost'
      : left?.contact === undefined
        ? 'nobody knows how much is lost'
        : `at least ${countOf(left.atLeast, 'position')} are lost, and what the old leader has acknowledged in the ${formatDuration(left.contact)} before`
  return `the event log of this node leads in epoch ${epoch}, behind position ${position}: ${lost}`
}
