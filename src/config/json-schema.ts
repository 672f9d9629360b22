import * as z from 'zod';
import { writtenFile } from './schema.js';

/** JSON Schema (draft 7, which editors read) of a configuration file as people write it. */
export function configJsonSchema(): Record<string, unknown> {
  const schema = z.toJSONSchema(writtenFile, {
    io: 'input',
    target: 'draft-07',
    override: ({ jsonSchema }) => {
      delete jsonSchema['sample'];
      delete jsonSchema['off'];
      if (jsonSchema.additionalProperties === false) jsonSchema.patternProperties = { '^x-': {} };
    },
  });
  // Merge keys are YAML's, resolved before anything is validated; editors check the text as it stands.
  return { title: 'mailferry configuration', ...schema };
}
