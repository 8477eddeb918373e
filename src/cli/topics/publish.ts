import { append, type AppendOptions } from '../events/append.js'
import { UsageError } from '../usage-error.js'

/** Options of `banyan topics publish`. */
export interface PublishOptions extends Omit<AppendOptions, 'expect' | 'batch'> {
  key?: string
}

/** `banyan topics publish`: one message. */
export async function publish(
  topic: string,
  type: string,
  data: string | undefined,
  { key, ...options }: PublishOptions,
): Promise<void> {
  if (topic === '' || topic.includes('-') || topic.startsWith('$'))
    throw new UsageError(
      `a topic is a name without a dash that does not begin with $, got ${JSON.stringify(topic)}`,
    )
  await append(key === undefined ? topic : `${topic}-${key}`, type, data, options)
}
