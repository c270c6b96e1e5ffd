"""The attributes of a worklist item, by keyword (PS3.4 Table K.6-1). For the helper processes, which have pydicom.

`STEP` and `ORDER` have a type of 1 or 2, or a C-arm's screen shows them: the room asks the hospital for these.
`FURTHER` are of type 3 and answered where the order has them; `WITHIN` stand in the items of code and reference
sequences.
"""

from __future__ import annotations

MODALITY_WORKLIST = "1.2.840.10008.5.1.4.31"

STEP = (
    "Modality ScheduledStationAETitle ScheduledProcedureStepStartDate ScheduledProcedureStepStartTime"
    " ScheduledPerformingPhysicianName ScheduledProcedureStepDescription ScheduledProtocolCodeSequence"
    " ScheduledStationName ScheduledProcedureStepLocation PreMedication ScheduledProcedureStepID"
    " RequestedContrastAgent ScheduledProcedureStepStatus CommentsOnTheScheduledProcedureStep"
)
ORDER = (
    "AccessionNumber RequestingPhysician ReferringPhysicianName RequestedProcedureID RequestedProcedureDescription"
    " RequestedProcedureCodeSequence StudyInstanceUID ReferencedStudySequence RequestedProcedurePriority"
    " PatientTransportArrangements ReasonForTheRequestedProcedure AdmissionID CurrentPatientLocation"
    " ReferencedPatientSequence PatientName PatientID IssuerOfPatientID OtherPatientIDs PatientBirthDate PatientSex"
    " PatientWeight PatientSize ConfidentialityConstraintOnPatientDataDescription PatientState PregnancyStatus"
    " MedicalAlerts Allergies SpecialNeeds"
)
FURTHER = (
    "ScheduledProcedureStepSequence ScheduledProcedureStepEndDate ScheduledProcedureStepEndTime StudyDate StudyTime"
    " RequestedProcedureComments IssuerOfAccessionNumberSequence RequestingService ImagingServiceRequestComments"
    " IssuerOfAdmissionIDSequence IssuerOfPatientIDQualifiersSequence OtherPatientIDsSequence AdditionalPatientHistory"
    " PatientComments EthnicGroup InstitutionName InstitutionalDepartmentName LastMenstrualDate"
    " PlacerOrderNumberImagingServiceRequest FillerOrderNumberImagingServiceRequest"
)
WITHIN = (
    "CodeValue CodingSchemeDesignator CodingSchemeVersion CodeMeaning LongCodeValue URNCodeValue ReferencedSOPClassUID"
    " ReferencedSOPInstanceUID PatientID TypeOfPatientID IssuerOfPatientID LocalNamespaceEntityID UniversalEntityID"
    " UniversalEntityIDType"
)
