ALTER TABLE orders ADD COLUMN is_proven boolean;

ALTER TABLE producers ADD COLUMN removals text NOT NULL DEFAULT 'own' CHECK (removals IN ('own', 'unknown', 'any'));

CREATE INDEX held_before ON held_numbers (e164, released_at) WHERE released_at IS NOT NULL;
