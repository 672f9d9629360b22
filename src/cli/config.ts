import { configJsonSchema } from '../config/json-schema.js';
import { sampleConfig } from '../config/sample.js';
import { out } from './io.js';

export function configCommand(what: 'sample' | 'schema'): number {
  out(what === 'sample' ? sampleConfig() : JSON.stringify(configJsonSchema(), null, 2));
  return 0;
}
