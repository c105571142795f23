-- What became of the check of a message's signature, and urgent events whose time was not believed.

-- devices.reports.Signature: 0 unsigned, 1 valid, 2 invalid, 3 of a key that is not known.
ALTER TABLE evidence.message ADD COLUMN signature smallint NOT NULL DEFAULT 0;

-- True: time is when it was received, since what the device said cannot be; see the refusal beside.
ALTER TABLE evidence.event ADD COLUMN time_doubted boolean NOT NULL DEFAULT false;
