import { checkOptions, type OptionTable } from '../../core/options.js'
import { systemRuntime } from '../../core/runtime.js'
import { eventError } from '../errors.js'
import type { EventLog, EventShape } from '../log.js'
import type { HandleOptions } from './consume.js'
import { checkHandling, subscribedAlready } from './handling.js'
import type { Handler, Middleware } from './message.js'
import { settingsOf, type SubscriptionOptions } from './options.js'
import { subscribe, type Subscription } from './subscription.js'
import { topic, type NewMessage, type Published } from './topic.js'

/** The events of each topic, by name: what types a channel. */
export type Topics<All = Record<string, EventShape>> = { readonly [Name in keyof All]: EventShape }

/** What somebody wants to hear of, and what of how means the same on every channel. */
export type Interest = Pick<
  SubscriptionOptions,
  'name' | 'topic' | 'types' | 'tags' | 'where' | 'key' | 'deadline' | 'drain'
>

/**
 * What events go through from those who produce them to those who consume them: a bus inside this process (`eventBus`), or
 * topics of a log (`pubSub`). Handlers have the same form, so that moving one from the first to the second is a change of
 * one word.
 */
export interface EventChannel<All extends Topics<All>, Options extends Interest> extends AsyncDisposable {
  /** Publishes one event, or several: all of them or none. */
  publish<Name extends keyof All & string>(
    topic: Name,
    messages: NewMessage<All[Name]> | readonly NewMessage<All[Name]>[],
  ): Promise<Published>
  /**
   * Has events handled: those of one key one after the other, others at the same time.
   *
   * @throws `BANYAN_INVALID_OPTIONS`, also if there is a subscription of that name on this channel
   */
  subscribe<Name extends keyof All & string>(
    options: Options & { topic: Name },
    handler: Handler<All[Name]>,
    handling?: Pick<HandleOptions, 'concurrency'>,
  ): Promise<Pick<Subscription, 'name' | 'guarantees' | 'close'>>
  /** Waits for what is being handled, and ends all subscriptions. */
  close(): Promise<void>
}

/** Options of {@link pubSub}. */
export interface PubSubOptions {
  /** Around every handler, the first outermost. */
  middleware?: readonly Middleware[]
  /** Given to every subscription that does not say otherwise. */
  defaults?: Omit<SubscriptionOptions, 'name' | 'topic' | 'types' | 'tags' | 'where' | 'key'>
}

const OPTIONS: OptionTable<PubSubOptions> = {
  middleware: {
    kind: 'list',
    of: { kind: 'code', type: 'function', doc: 'one layer' },
    doc: 'around every handler',
  },
  defaults: { kind: 'code', type: 'object', doc: 'given to every subscription' },
}

/** Topics of a log, as an {@link EventChannel}: durable, shared with all processes that have the log. */
export function pubSub<All extends Topics<All> = Topics>(
  log: EventLog,
  options: PubSubOptions = {},
): EventChannel<All, SubscriptionOptions> {
  checkOptions('pubSub', OPTIONS, options)
  const { middleware = [], defaults = {} } = options
  /** By name, also those that are about to begin. */
  const running = new Map<string, Promise<Subscription>>()
  let isClosed = false
  const mustBeOpen = (): void => {
    if (isClosed) throw eventError('BANYAN_LOG_CLOSED', 'the topics are closed')
  }
  const close = async (): Promise<void> => {
    isClosed = true
    const ending = [...running.values()].map((opened) =>
      opened.then(
        (subscription) => subscription.close(),
        () => undefined,
      ),
    )
    await Promise.all(ending)
  }
  return {
    async publish(name, messages) {
      mustBeOpen()
      return topic(log, name, { runtime: defaults.runtime ?? systemRuntime }).publish(messages)
    },
    async subscribe(interest, handler, handling = {}) {
      mustBeOpen()
      const { name } = settingsOf({ ...defaults, ...interest })
      checkHandling(name, handler, handling)
      if (running.has(name)) throw subscribedAlready(name)
      const opened = subscribe(log, { ...defaults, ...interest })
      const forget = (): void => void running.delete(name)
      running.set(name, opened)
      opened.then(({ ended }) => ended.then(forget, forget), forget)
      const subscription = await opened
      subscription.handle(handler, { ...handling, middleware })
      return subscription
    },
    close,
    [Symbol.asyncDispose]: close,
  }
}
