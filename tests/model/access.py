"""The only door to data: every request is decided, logged and, where the consent says so, paid."""

from .consents import Consents
from .log import campaign_id, entry_digest
from .state import Log, operation
from .words import (
    ALL_CATEGORIES,
    BREAK_THE_GLASS,
    DECISIONS,
    MAX_BATCH,
    PURPOSES,
    REASONS,
    U32_MAX,
    AccessReceipt,
    AccessRequest,
    require,
)


class Access(Consents):
    @operation
    def request_access(self, caller: int, now: int, request: AccessRequest) -> AccessReceipt:
        return self._decide(caller, now, request)

    @operation
    def request_access_batch(
        self, caller: int, now: int, requests: list[AccessRequest]
    ) -> list[AccessReceipt]:
        """Each request as if it came alone, in order; one malformed request voids the whole batch."""
        require(len(requests) > 0, "ACCESS/EMPTY_BATCH")
        require(len(requests) <= MAX_BATCH, "ACCESS/BATCH_TOO_LARGE")
        return [self._decide(caller, now, request) for request in requests]

    @operation
    def request_emergency_access(
        self, caller: int, now: int, patient: int, categories: int, record: int, justification_commitment: int
    ) -> AccessReceipt:
        self._check_request(patient, BREAK_THE_GLASS, categories)
        require(justification_commitment != 0, "ACCESS/ZERO_JUSTIFICATION")
        require(self._registered(caller), "ENTITY/UNKNOWN")
        entity = self.entity(caller)
        if entity.suspended:
            decision, reason = "Deny", "EntitySuspended"
        elif entity.role != "Hospital":
            decision, reason = "Deny", "NotHospital"
        elif self.patient(patient).emergency_opt_out:
            decision, reason = "Deny", "EmergencyOptOut"
        else:
            decision, reason = "Emergency", "BreakGlass"
        request = AccessRequest(patient, BREAK_THE_GLASS, categories, record, None)
        receipt = self._log(caller, now, request, decision, reason, 0, 0, justification_commitment)
        if decision == "Emergency":
            self.emit(
                self.medsync,
                "EmergencyAccessed",
                {"patient": patient, "accessor": caller},
                {"seq": receipt.seq, "justification": justification_commitment},
            )
        return receipt

    def log(self, patient: int) -> Log:
        return self.state.logs.get(patient, Log())

    def _check_request(self, patient: int, purpose: int, categories: int) -> None:
        require(patient != 0, "ACCESS/ZERO_PATIENT")
        require(purpose in PURPOSES, "ACCESS/BAD_PURPOSE")
        require(0 < categories <= ALL_CATEGORIES, "ACCESS/BAD_CATEGORIES")

    def _decide(self, caller: int, now: int, request: AccessRequest) -> AccessReceipt:
        patient, purpose, categories = request.patient, request.purpose, request.categories
        self._check_request(patient, purpose, categories)
        require(self._registered(caller), "ENTITY/UNKNOWN")
        campaign = campaign_id(request.campaign) if request.campaign else 0
        decision, reason, version = self.verify_consent(now, patient, caller, purpose, categories)
        if decision == "Permit":
            consent = self.consent(patient, caller, purpose)
            if campaign != consent.campaign:
                decision, reason = "Deny", "CampaignMismatch"
            elif campaign != 0:
                refusal = self.pay(now, request.campaign, patient, caller)
                if refusal is not None:
                    decision, reason = "Deny", refusal
            if decision == "Permit":
                consent.uses += 1
        return self._log(caller, now, request, decision, reason, version, campaign, 0)

    def _log(
        self,
        accessor: int,
        now: int,
        request: AccessRequest,
        decision: str,
        reason: str,
        version: int,
        campaign: int,
        justification: int,
    ) -> AccessReceipt:
        log = self.state.logs.setdefault(request.patient, Log())
        require(log.count < U32_MAX, "ACCESS/LOG_FULL")
        log.count += 1
        log.head = entry_digest(
            chain_id=self.chain_id,
            contract=self.medsync,
            patient=request.patient,
            previous_head=log.head,
            seq=log.count,
            at=now,
            accessor=accessor,
            purpose=request.purpose,
            categories=request.categories,
            record=request.record,
            decision=DECISIONS.index(decision),
            reason=REASONS.index(reason),
            version=version,
            campaign=campaign,
            justification=justification,
        )
        self.emit(
            self.medsync,
            "AccessLogged",
            {"patient": request.patient, "accessor": accessor, "purpose": request.purpose},
            {
                "seq": log.count,
                "at": now,
                "decision": decision,
                "reason": reason,
                "version": version,
                "categories": request.categories,
                "record": request.record,
                "campaign": campaign,
                "justification": justification,
            },
        )
        return AccessReceipt(decision, reason, log.count, log.head)
